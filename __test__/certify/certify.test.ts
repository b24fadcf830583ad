// Certificates: their formula, their rounding, and what gets none.

import {
  Conv2d,
  certify,
  Flatten,
  functional,
  GroupSort2,
  Linear,
  Module,
  ReLU,
  type Rounding,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it, vi } from "vitest";
import { codeOf, referenceNetwork, subset } from "../train/subset.js";

class Swish extends Module {
  forward(x: Tensor): Tensor {
    return x.mul(x.sigmoid());
  }
}

/** A model whose logits are its input, so that certificates have known answers. */
class Given extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
  override lipschitzBound(): number {
    return 2;
  }
  override rounding(): Rounding {
    return { roundings: 0, offset: 0 };
  }
}

describe("certify", () => {
  it("says what it takes instead of another model or other options", async () => {
    const x = tensor([[1, 0]]);
    for (const call of [
      () => certify({} as Module, x),
      () => certify(null as unknown as Module, x),
      () => certify(new Given(), x, null as never),
      () => certify(new Given(), x, { head: "best" as "auto" }),
    ]) {
      expect(await codeOf(call)).toBe("INVALID_ARGUMENT");
      await expect(call()).rejects.toThrow(/certify|head/);
    }
  });

  it("gives class, runner-up, margin and margin / (sqrt(2) L), rounded down", async () => {
    const rows = [
      [3, 1, 2],
      [-1, -5, -1.5],
      [0.1, 0.3, 0.2],
    ];
    const certificates = await certify(new Given(), tensor(rows));
    expect(certificates.map(({ predicted, runnerUp }) => [predicted, runnerUp])).toEqual([
      [0, 2],
      [0, 2],
      [1, 2],
    ]);
    certificates.forEach(({ predicted, runnerUp, margin, radius, lipschitz, kind }, i) => {
      const row = rows[i]?.map(Math.fround) ?? [];
      expect(margin).toBeCloseTo((row[predicted] ?? 0) - (row[runnerUp] ?? 0), 12);
      expect(lipschitz).toBe(2);
      expect(kind).toBe("generic");
      const exact = margin / (Math.SQRT2 * 2);
      expect(radius).toBeLessThanOrEqual(exact);
      // Rounding down costs a few units in the last place of a float64.
      expect(radius).toBeGreaterThan(exact * (1 - 1e-14));
    });
  });

  it("gives radius 0 to a tie, and to the first of the tied classes the prediction", async () => {
    const [certificate] = await certify(new Given(), tensor([[1, 5, 5, 0]]));
    expect(certificate).toMatchObject({ predicted: 1, runnerUp: 2, margin: 0, radius: 0 });
  });

  it("refuses a single logit, which has no rival, by the name of what certifies its sign", async () => {
    const refused = certify(new SpectralLinear(3, 1), tensor([[1, 2, 3]]));
    expect(await codeOf(() => refused)).toBe("SHAPE_MISMATCH");
    await expect(refused).rejects.toThrow(/two classes or more; given \[1, 1\].*certifyBinary\(\) certifies .* sign/);
  });

  it("agrees with the model's own classes and logits", async () => {
    const { test } = await subset();
    const { images } = test.batch(0, 32);
    const model = referenceNetwork();
    const certificates = await certify(model, images);
    const logits = (await model.predict(images)).held();
    const bound = await model.lipschitzBound();
    expect(certificates.map(({ predicted }) => predicted)).toEqual(Array.from(await model.classify(images)));
    certificates.forEach(({ predicted, runnerUp, margin, lipschitz }, i) => {
      expect(margin).toBe((logits[10 * i + predicted] ?? 0) - (logits[10 * i + runnerUp] ?? 0));
      // The size of these images is one of all sizes.
      expect(lipschitz).toBeLessThan(bound);
      expect(lipschitz).toBeGreaterThan(0.95 * bound);
    });
  });

  it("takes u8 images, nested arrays and values with a shape alike", async () => {
    const model = new Sequential([new Flatten(), new SpectralLinear(4, 3)]);
    const bytes = Uint8Array.of(0, 51, 102, 255);
    const [u8] = await certify(model, tensor(bytes, [1, 1, 2, 2]));
    const scaled = Array.from(bytes, (b) => b / 255);
    const [nested] = await certify(model, [[[scaled.slice(0, 2), scaled.slice(2)]]]);
    const [given] = await certify(model, { data: scaled, shape: [1, 1, 2, 2] });
    expect(nested).toEqual(given);
    expect(u8?.predicted).toBe(given?.predicted);
    expect(u8?.margin).toBeCloseTo(given?.margin ?? Number.NaN, 5);
  });

  it("follows the weights the model has now", async () => {
    const model = new Sequential([new Linear(2, 2, { bias: false })], { constrained: false });
    model.loadStateDict({ "0.weight": tensor([1, 0, 0, 1], [2, 2]) });
    const [before] = await certify(model, tensor([[1, 0]]));
    model.loadStateDict({ "0.weight": tensor([4, 0, 0, 4], [2, 2]) });
    const [after] = await certify(model, tensor([[1, 0]]));
    expect(after?.margin).toBe(4);
    expect(after?.lipschitz).toBeCloseTo(4, 10);
    expect(after?.lipschitz).toBeGreaterThanOrEqual(4);
    expect(after?.radius).toBeCloseTo(before?.radius ?? Number.NaN, 10);
  });

  it("refuses an empty batch", async () => {
    expect(await codeOf(() => certify(new Given(), zeros([0, 2])))).toBe("EMPTY_DATASET");
  });

  it("refuses a model with a layer that has no bound, and names it", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const model = new Sequential([new SpectralLinear(4, 4), new Swish(), new SpectralLinear(4, 2)]);
    warn.mockRestore();
    const refused = certify(model, tensor([[0, 0, 0, 0]]));
    expect(await codeOf(() => refused)).toBe("NOT_LIPSCHITZ");
    await expect(refused).rejects.toThrow(/layer 1 \(Swish\)/);
    expect(await codeOf(() => certify(new Swish(), tensor([[1]])))).toBe("NOT_LIPSCHITZ");
  });

  it("refuses logits that are not finite or no rows of classes, and unknown heads", async () => {
    class Overflowing extends Module {
      forward(x: Tensor): Tensor {
        return x.mul(1e38).mul(1e38);
      }
      override lipschitzBound(): number {
        return 2;
      }
      override rounding(): Rounding {
        return { roundings: 2, offset: 0 };
      }
    }
    class Flat extends Module {
      forward(x: Tensor): Tensor {
        return x.sum(1);
      }
      override lipschitzBound(): number {
        return 2;
      }
      override rounding(): Rounding {
        return { roundings: 2, offset: 0 };
      }
    }
    expect(await codeOf(() => certify(new Overflowing(), tensor([[1, 2]])))).toBe("NON_FINITE");
    expect(await codeOf(() => certify(new Flat(), tensor([[1, 2]])))).toBe("SHAPE_MISMATCH");
    expect(await codeOf(() => certify(new Given(), tensor([[1, 2]]), { head: "best" as "auto" }))).toBe(
      "INVALID_ARGUMENT",
    );
    expect(await codeOf(() => certify(new SpectralLinear(3, 2), tensor([[1, 2]])))).toBe("SHAPE_MISMATCH");
  });
});

describe("float images that look like bytes", () => {
  it("are certified as they are, with a word on their units, once", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const model = new Sequential([new SpectralLinear(64, 2)]);
    const bytes = Uint8Array.from({ length: 64 }, (_, k) => 4 * k);
    const floats = Float32Array.from(bytes);
    const [scaled] = await certify(model, { data: bytes, shape: [1, 64] });
    await certify(model, { data: floats.map((pixel) => pixel / 255), shape: [1, 64] });
    expect(warn).not.toHaveBeenCalled();
    const [unscaled] = await certify(model, { data: floats, shape: [1, 64] });
    await certify(model, { data: floats, shape: [1, 64] });
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0]?.[0]).toMatch(/^certify was given float images .* 0 to 255.*give a Uint8Array/);
    expect((unscaled?.margin ?? 0) / (scaled?.margin ?? 1)).toBeGreaterThan(10);
    warn.mockRestore();
  });
});

describe("a Sequential with a layer that is not Lipschitz by construction", () => {
  it("warns once, naming the layer", () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    new Sequential([new SpectralLinear(4, 4), new GroupSort2(), new ReLU(), new Flatten()]);
    expect(warn).not.toHaveBeenCalled();
    new Sequential([new SpectralLinear(4, 4), new Swish()]);
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0]?.[0]).toMatch(/layer 1 \(Swish\)/);
    warn.mockRestore();
  });
});

describe("certificateRadius", () => {
  const logits = { data: [3, 1, 2], shape: [1, 3] as const };

  it("has the formulas of generic, disjoint and pairwise heads", () => {
    const generic = functional.certificateRadius(logits, { kind: "generic", lipschitz: 2 });
    expect(generic.radius[0]).toBe(1 / (Math.SQRT2 * 2));
    expect(functional.certificateRadius(logits, { kind: "disjoint", lipschitz: 2 }).radius[0]).toBe(1 / 4);
    const head = { data: [1, 0, 0, 2, 0, -3], shape: [3, 2] as const };
    const pairwise = functional.certificateRadius(logits, { kind: "pairwise", lipschitz: 2, head });
    const least = Math.min(2 / (2 * Math.hypot(1, 2)), 1 / (2 * Math.hypot(1, 3)));
    expect(pairwise.radius[0]).toBeCloseTo(least, 14);
  });

  it("refuses logits of a single class, and such as are no numbers", () => {
    const options = { kind: "generic", lipschitz: 1 } as const;
    const codeFor = (data: number[], shape: readonly [number, number]): Promise<string> =>
      codeOf(() => functional.certificateRadius({ data, shape }, options));
    return expect(Promise.all([codeFor([1, 2], [2, 1]), codeFor([Number.NaN, 1], [1, 2])])).resolves.toEqual([
      "SHAPE_MISMATCH",
      "NON_FINITE",
    ]);
  });

  it("refuses a pairwise kind without its head and constants that are none", () => {
    const refused: (() => unknown)[] = [
      () => functional.certificateRadius(logits, { kind: "pairwise", lipschitz: 1 }),
      () => functional.certificateRadius(logits, { kind: "generic", lipschitz: Number.NaN }),
      () => functional.certificateRadius(logits, { kind: "generic", lipschitz: -1 }),
      () => functional.certificateRadius(logits, { kind: "best" as "generic", lipschitz: 1 }),
    ];
    for (const call of refused) expect(call).toThrow(expect.objectContaining({ name: "TslipError" }));
  });
});

describe("numbers that are none", () => {
  const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const models: [string, () => Sequential][] = [
    ["Linear", () => new Sequential([new Linear(4, 2)], { constrained: false })],
    ["Linear before others", () => new Sequential([new Linear(4, 2), new ReLU()], { constrained: false })],
    ["SpectralLinear", () => new Sequential([new SpectralLinear(4, 2)])],
  ];
  it.each(models.flatMap(([name, build]) => bad.map((value) => ({ name, build, value }))))(
    "in the bias of $name ($value) are NON_FINITE and named",
    async ({ build, value }) => {
      const model = build();
      const bias = model.namedParameters().find(([key]) => key === "0.bias")?.[1];
      bias?.assign(tensor([0, value]));
      const refused = certify(model, tensor([[1, 2, 3, 4]]));
      expect(await codeOf(() => refused)).toBe("NON_FINITE");
      await expect(refused).rejects.toThrow(/layer 0 .*bias 1 is/);
    },
  );

  it.each(bad)("in the bias of a convolution (%d) too", async (value) => {
    for (const build of [
      () => new Conv2d(1, 2, { kernelSize: 2 }),
      () => new SpectralConv2d(1, 2, { kernelSize: 2 }),
    ]) {
      const model = new Sequential([build(), new Flatten()], { constrained: false });
      model
        .parameters()
        .find(({ rank }) => rank === 1)
        ?.assign(tensor([0, value]));
      expect(await codeOf(() => certify(model, zeros([1, 1, 2, 2])))).toBe("NON_FINITE");
    }
  });
});
