// What a certificate rests on: margins and bounds of the same weights, exact inequalities, images that are numbers.
import {
  assign,
  CrossEntropyLoss,
  certify,
  Flatten,
  fit,
  fromArrays,
  GroupSort2,
  Linear,
  Module,
  manualSeed,
  type Parameter,
  type Rounding,
  rand,
  randn,
  ScaledL2NormPool2d,
  Sequential,
  SGD,
  SpectralConv2d,
  SpectralLinear,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { differentiate, float64Layers } from "../soundness/float64.js";
import { codeOf } from "../train/subset.js";

/** A float64 as numerator / 2^shift. */
function exact(value: number): { numerator: bigint; shift: bigint } {
  let [scaled, shift] = [value, 0n];
  while (!Number.isInteger(scaled)) [scaled, shift] = [scaled * 2, shift + 1n];
  return { numerator: BigInt(scaled), shift };
}

/** A model whose logits are its input. */
class Given extends Module {
  constructor(readonly lipschitz: number) {
    super();
  }
  forward(x: Tensor): Tensor {
    return x;
  }
  override lipschitzBound(): number {
    return this.lipschitz;
  }
  override rounding(): Rounding {
    return { roundings: 0, offset: 0 };
  }
}

describe("a radius", () => {
  it("is below margin / (sqrt(2) L) in exact arithmetic, however float64 rounds", async () => {
    const rows = Array.from({ length: 200 }, (_, i) => [Math.sqrt(i + 1), Math.sqrt(i) / 3]);
    for (const lipschitz of [1, 3, 0.7, Math.SQRT2, 1.1]) {
      for (const { margin, radius } of await certify(new Given(lipschitz), tensor(rows))) {
        const [r, l, m] = [exact(radius), exact(lipschitz), exact(margin)];
        // 2 r² L² <= margin², each side times the other's powers of two.
        const left = 2n * (r.numerator * l.numerator) ** 2n * 2n ** (2n * m.shift);
        const right = m.numerator ** 2n * 2n ** (2n * (r.shift + l.shift));
        expect(left <= right, `radius ${radius} for margin ${margin} and L ${lipschitz}`).toBe(true);
        expect(radius).toBeGreaterThan(0);
      }
    }
  });

  it("is refused for an image with a pixel that is no number, even one the logits do not see", async () => {
    class First extends Given {
      override forward(x: Tensor): Tensor {
        return x.slice([0, 0], [1, 2]);
      }
      override lipschitzBound(): number {
        return 1;
      }
      override rounding(): Rounding {
        return { roundings: 0, offset: 0 };
      }
    }
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(await codeOf(() => certify(new First(1), tensor([[1, 0, bad]])))).toBe("NON_FINITE");
    }
  });
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Each step adds 1 to every weight. */
class Counting extends SGD {
  protected override updateOne(parameter: Parameter): void {
    assign(parameter, parameter.add(1));
  }
}

describe("a certificate", () => {
  it("has bound and margin of the same weights while the model is being trained", async () => {
    const model = new Sequential([new Linear(1, 2, { bias: false })], { constrained: false });
    model.loadStateDict({ "0.weight": tensor([1, 0], [2, 1]) });
    const data = fromArrays(new Float32Array(4000).fill(1), [4000, 1], new Array(4000).fill(0));
    const controller = new AbortController();
    const training = fit(model, data, {
      epochs: 1000,
      batchSize: 4,
      optimizer: new Counting({ lr: 1 }),
      loss: new CrossEntropyLoss(),
      verbose: false,
      signal: controller.signal,
    }).catch(() => undefined);
    const bounds = new Set<number>();
    for (let i = 0; i < 30 || (bounds.size < 4 && i < 1000); i++) {
      await pause(1);
      const [certificate] = await certify(model, tensor([[1]]));
      const { lipschitz, margin } = certificate ?? { lipschitz: Number.NaN, margin: Number.NaN };
      // Weights (1 + k, k): their difference is 1 throughout, and the norm says which step it is.
      const steps = (Math.sqrt(2 * lipschitz ** 2 - 1) - 1) / 2;
      expect(steps).toBeCloseTo(Math.round(steps), 6);
      expect(margin).toBe(1);
      bounds.add(lipschitz);
    }
    controller.abort();
    await training;
    expect(bounds.size).toBeGreaterThan(3);
  });

  it("is refused where weights that the export shares with the model change under it", async () => {
    // Exports itself, as modules without a vanillaExport of their own do.
    class Live extends Module {
      readonly inner = new Linear(2, 2, { bias: false });
      forward(x: Tensor): Tensor {
        return this.inner.forward(x);
      }
      override lipschitzBound(): number {
        const bound = this.inner.lipschitzBound();
        assign(this.inner.weight, this.inner.weight.mul(100));
        return bound;
      }
      override rounding(results: number): Rounding {
        return this.inner.rounding(results);
      }
    }
    const refused = certify(new Live(), tensor([[1, 0.5]]));
    await expect(refused).rejects.toThrow(/changed while certifying/);
  });
});

describe("the rounding of the float32 forward pass", () => {
  it("leaves no radius of 5.657 to an identity whose bias of 1e8 swallows the inputs 4.1 and 3.9", async () => {
    const weight = tensor([1, 0, 0, 1], [2, 2]);
    const model = new Linear(2, 2, {}, { weight, bias: tensor([1e8, 1e8]) });
    const classOf = async (x: Tensor): Promise<number> => (await model.classify(x))[0] ?? -1;
    const [certificate] = await certify(model, tensor([[4.1, 3.9]]));
    expect(certificate?.margin).toBe(8);
    // The class does change, at a distance of 0.283.
    expect(await classOf(tensor([[4.1, 3.9]]))).not.toBe(await classOf(tensor([[3.9, 4.1]])));
    expect(certificate?.radius).toBe(0);
    const [without] = await certify(
      new Linear(2, 2, { bias: false }, { weight, bias: undefined }),
      tensor([[4.1, 3.9]]),
    );
    expect(without?.radius).toBeCloseTo(0.2 / Math.SQRT2, 4);
  });

  it.each([1, 255, 1e4])(
    "is taken off for inputs up to %d, and is more than what the logits are off",
    async (scale) => {
      manualSeed(1);
      const build = [new SpectralConv2d(2, 8, { kernelSize: 3, padding: 1 }), new GroupSort2()];
      const pool = new ScaledL2NormPool2d({ kernelSize: 2 });
      const dense = [new Flatten(), new SpectralLinear(392, 32), new GroupSort2(), new SpectralLinear(32, 5)];
      const model = new Sequential([...build, pool, ...dense]).vanillaExport();
      for (const parameter of model.parameters()) {
        if (parameter.rank === 1) parameter.assign(randn(parameter.shape, { seed: 2 }).mul(scale / 10));
      }
      const count = 40;
      const x = rand([count, 2, 14, 14], { seed: 3 }).mul(scale);
      const values = x.dataSync();
      const layers = float64Layers(model);
      const certificates = await certify(model, x);
      const logits = model.predictSync(x).held();
      for (const [n, { margin, radius, lipschitz }] of certificates.entries()) {
        const image = Float64Array.from(values.subarray(n * 392, (n + 1) * 392));
        const exact = differentiate(layers, image, [2, 14, 14], 5).values;
        const errors = exact.map((value, c) => (logits[n * 5 + c] ?? Number.NaN) - value);
        const off = Math.max(...errors) - Math.min(...errors);
        const taken = margin - radius * Math.SQRT2 * lipschitz;
        expect(taken).toBeGreaterThan(off);
        // Not a hundredth of what the inputs are.
        if (radius > 0) expect(taken).toBeLessThan(2e-3 * scale);
      }
      expect(certificates.filter(({ radius }) => radius > 0).length).toBeGreaterThan(count / 2);
    },
  );

  it("counts the division of u8 pixels", async () => {
    const model = new Sequential([new Flatten(), new Linear(4, 2)], { constrained: false });
    const pixels = Uint8Array.of(3, 77, 130, 255);
    const floats = Float32Array.from(pixels, (p) => p / 255);
    const [bytes] = await certify(model, tensor(pixels, [1, 1, 2, 2]));
    const [given] = await certify(model, tensor(floats, [1, 1, 2, 2]));
    expect(bytes?.margin).toBe(given?.margin);
    expect(bytes?.radius).toBeLessThan(given?.radius ?? 0);
    expect(bytes?.radius).toBeGreaterThan((given?.radius ?? 0) * (1 - 1e-5));
  });

  it("is asked of every layer: one that does not say how it rounds is named, and the model refused", async () => {
    class Halved extends Module {
      forward(x: Tensor): Tensor {
        return x.mul(0.5);
      }
      override lipschitzBound(): number {
        return 0.5;
      }
    }
    class Louder extends Linear {
      override forward(x: Tensor): Tensor {
        return super.forward(x).mul(10);
      }
      override lipschitzBound(): number {
        return 10 * super.lipschitzBound();
      }
      override vanillaExport(): Linear {
        return this;
      }
    }
    const inner = new Sequential([new Halved()], { constrained: false });
    const model = new Sequential([new Flatten(), inner], { constrained: false });
    expect(await codeOf(() => certify(model, tensor([[1, 2]])))).toBe("UNSUPPORTED");
    await expect(certify(model, tensor([[1, 2]]))).rejects.toThrow(/layer 1\.0 \(Halved\).*rounding\(\)/);
    expect(await codeOf(() => certify(new Louder(2, 2), tensor([[1, 2]])))).toBe("NOT_LIPSCHITZ");
  });
});
