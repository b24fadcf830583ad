// Of which network a certificate speaks: the one that stood there at the moment of the call, and that predict runs too.
import {
  assign,
  Conv2d,
  certify,
  Flatten,
  GroupSort,
  GroupSort2,
  Identity,
  Linear,
  Module,
  ReLU,
  type Rounding,
  rand,
  ScaledL2NormPool2d,
  Sequential,
  SpectralLinear,
  state,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { silenceWarnings } from "./custom.js";

silenceWarnings();

class Tuning {
  factor = 1;
}

/** x times what three fields hold, with honest answers. */
class Tuned extends Module {
  slope = 1;
  settings = { slopes: [1, 1] };
  tuning = new Tuning();
  get #factor(): number {
    return this.slope * (this.settings.slopes[1] ?? 0) * this.tuning.factor;
  }
  forward(x: Tensor): Tensor {
    return x.mul(this.#factor);
  }
  override lipschitzBound(): number {
    return Math.abs(this.#factor) * (1 + 1e-6);
  }
  override rounding(): Rounding {
    return { roundings: 2, offset: 0 };
  }
}

describe("forward set on an instance", () => {
  const layers: [string, () => Module][] = [
    ["ReLU", () => new ReLU()],
    ["Identity", () => new Identity()],
    ["Flatten", () => new Flatten()],
    ["GroupSort", () => new GroupSort(2)],
    ["GroupSort2", () => new GroupSort2()],
    ["Linear", () => new Linear(4, 4)],
    ["SpectralLinear", () => new SpectralLinear(4, 4)],
    ["Sequential", () => new Sequential([new SpectralLinear(4, 4)])],
    ["a custom layer", () => new Tuned()],
  ];
  const x = tensor([[1, 2, 3, 5]]);

  it.each(layers)("of %s gets no certificate as the layer that it no longer is", async (_, build) => {
    const alone = build();
    const inner = build();
    const model = new Sequential([inner, new Linear(4, 2)], { constrained: false });
    const nested = new Sequential([new Sequential([model], { constrained: false })], { constrained: false });
    await certify(nested, x);
    for (const layer of [alone, inner]) layer.forward = (value: Tensor) => value.mul(100);
    expect(await codeOf(() => certify(alone, x))).toBe("NOT_LIPSCHITZ");
    expect(await codeOf(() => certify(model, x))).toBe("NOT_LIPSCHITZ");
    await expect(certify(nested, x)).rejects.toThrow(/forward was set on/);
  });

  it.each(layers)("of an export of %s neither", async (_, build) => {
    const exported = new Sequential([build(), new Linear(4, 2)], { constrained: false }).vanillaExport();
    for (const layer of exported.layers) layer.forward = (value: Tensor) => value.mul(100);
    expect(await codeOf(() => certify(exported, x))).toBe("NOT_LIPSCHITZ");
  });

  it("by an arrow function in a class neither", async () => {
    class Louder extends ReLU {
      override forward = (value: Tensor): Tensor => value.mul(100);
    }
    class LouderLinear extends SpectralLinear {
      override forward = (value: Tensor): Tensor => value.mul(100);
    }
    for (const layer of [new Louder(), new LouderLinear(4, 4)]) {
      expect(await codeOf(() => certify(layer, x))).toBe("NOT_LIPSCHITZ");
      const model = new Sequential([layer, new Linear(4, 2)], { constrained: false });
      expect(await codeOf(() => certify(model, x))).toBe("NOT_LIPSCHITZ");
    }
  });

  it("gets no bound from a Sequential, nor an export", async () => {
    const model = new Sequential([new SpectralLinear(4, 4)]);
    model.forward = (value: Tensor) => value.mul(100);
    expect(await codeOf(() => model.lipschitzBound())).toBe("NOT_LIPSCHITZ");
    expect(await codeOf(() => model.vanillaExport())).toBe("NOT_LIPSCHITZ");
  });
});

describe("weights loaded while a certificate is on its way", () => {
  const weights = (scale: number) => ({ "0.weight": tensor([scale, 0, 0, scale], [2, 2]) });
  const images: [string, () => Tensor][] = [
    ["floats", () => tensor([[3, 1]])],
    ["bytes", () => tensor(Uint8Array.of(200, 100), [1, 2])],
    ["an expression", () => tensor([[6, 2]]).mul(0.5)],
    ["a state", () => state(tensor([[3, 1]]))],
  ];

  it.each(images)("for %s change nothing of it", async (_, image) => {
    const model = new Sequential([new Linear(2, 2, { bias: false })], { constrained: false });
    model.loadStateDict(weights(1));
    const x = image();
    const [before] = await certify(model, x);
    const pending = certify(model, x);
    model.loadStateDict(weights(1000));
    const [during] = await pending;
    expect(during).toEqual(before);
    const [after] = await certify(model, x);
    expect(after?.lipschitz).toBeGreaterThan(999);
  });

  it("nor do images that are assigned, or fields that are set", async () => {
    const layer = new Tuned();
    const model = new Sequential([layer], { constrained: false });
    const x = state(tensor([[3, 1]]));
    const [before] = await certify(model, x);
    const pending = certify(model, x);
    assign(x, tensor([[1, 3]]));
    layer.slope = 50;
    layer.settings.slopes[1] = -1;
    expect(await pending).toEqual([before]);
  });
});

describe("predict", () => {
  const x = tensor([[3, 1]]);
  const changes: [string, (layer: Tuned, model: { layers: Module[] }) => void][] = [
    [
      "a field",
      (layer) => {
        layer.slope = -5;
      },
    ],
    [
      "an entry of an array in an object in a field",
      (layer) => {
        layer.settings.slopes[1] = -5;
      },
    ],
    [
      "a field of an object of a class",
      (layer) => {
        layer.tuning.factor = -5;
      },
    ],
    [
      "an object in a field",
      (layer) => {
        layer.settings = { slopes: [0, -5] };
      },
    ],
    [
      "forward of a layer",
      (layer) => {
        layer.forward = (value: Tensor) => value.mul(-5);
      },
    ],
    [
      "a layer",
      (_, model) => {
        model.layers[0] = Object.assign(new Tuned(), { slope: -5 });
      },
    ],
    ["a layer added", (_, model) => void model.layers.push(Object.assign(new Tuned(), { slope: -5 }))],
  ];

  it.each(changes)("follows a change of %s", async (_, change) => {
    const layer = new Tuned();
    const inner = new Sequential([layer], { constrained: false });
    const model = new Sequential([inner], { constrained: false });
    const all = async () => [
      [...(await model.predict(x)).held()],
      [...model.predictSync(x).held()],
      [...(await model.classify(x))],
    ];
    expect(await all()).toEqual([[3, 1], [3, 1], [0]]);
    change(layer, inner as unknown as { layers: Module[] });
    expect(await all()).toEqual([[-15, -5], [-15, -5], [1]]);
    if (Object.hasOwn(layer, "forward")) return;
    const [certificate] = await certify(model, x);
    expect(certificate).toMatchObject({ predicted: 1, margin: 10 });
  });

  it("keeps its recording where nothing has changed", async () => {
    let recorded = 0;
    class Counting extends Tuned {
      calls = 0;
      override forward(value: Tensor): Tensor {
        recorded += 1;
        this.calls += 1;
        return super.forward(value);
      }
    }
    const model = new Sequential([new Counting(), new GroupSort2()], { constrained: false });
    for (let i = 0; i < 5; i++) await model.predict(x);
    expect(recorded).toBe(1);
  });

  it("follows a change in a field behind thousands of others, behind a circle of frozen objects, and of one removed", async () => {
    const frozen: { self?: unknown; inner: { factor: number } } = { inner: { factor: 1 } };
    frozen.self = frozen;
    class Holding extends Tuned {
      entries = Array.from({ length: 20_000 }, () => ({ factor: 1 }));
      numbers: number[] = new Array<number>(5).fill(1);
      circle = Object.freeze(frozen);
      gone: undefined | number = undefined;
      override forward(value: Tensor): Tensor {
        const { entries, circle, numbers } = this;
        return value.mul(
          (entries[19_000]?.factor ?? 0) * circle.inner.factor * (numbers[3] ?? 0) * ("gone" in this ? 1 : 2),
        );
      }
    }
    const many = new Holding();
    const few = new Holding();
    few.entries = Object.assign([], { 19_000: { factor: 1 } });
    const first = async (layer: Module): Promise<number | undefined> => (await layer.predict(x)).held()[0];
    for (const layer of [many, few]) {
      expect(await first(layer)).toBe(3);
      (layer.entries[19_000] as { factor: number }).factor = 2;
      expect(await first(layer)).toBe(6);
      layer.circle.inner.factor *= 2;
      expect(await first(layer)).toBe(12);
      layer.numbers[3] = 3;
      expect(await first(layer)).toBe(36);
      layer.circle.inner.factor /= 2;
    }
    const plain = Object.assign(new Tuned(), { gone: undefined as undefined | number, slope: 1 });
    plain.forward = function (this: typeof plain, value: Tensor): Tensor {
      return value.mul("gone" in this ? 1 : 2);
    };
    expect(await first(plain)).toBe(3);
    Reflect.deleteProperty(plain, "gone");
    Object.assign(plain, { other: 1 });
    expect(await first(plain)).toBe(6);
  });
});

describe("training mode", () => {
  /** 5 x in evaluation mode, something else in training mode; honest in each. */
  class Moded extends Module {
    forward(x: Tensor): Tensor {
      return this.training ? x.mul(0.1) : x.mul(5);
    }
    override lipschitzBound(): number {
      return this.training ? 0.1 * (1 + 1e-6) : 5;
    }
    override rounding(): Rounding {
      return { roundings: this.training ? 100 : 2, offset: 0 };
    }
    override vanillaExport(): Module {
      return this.training ? new Identity() : this;
    }
  }

  it("of the model changes nothing of a certificate, which speaks of evaluation mode", async () => {
    const x = tensor([[1, 0]]);
    for (const model of [new Moded(), new Sequential([new Moded()], { constrained: false })]) {
      const training = await certify(model.train(), x);
      expect(training).toEqual(await certify(model.eval(), x));
      expect(training[0]).toMatchObject({ margin: 5, lipschitz: 5 });
    }
  });

  it("is left as it is by certify and vanillaExport, in each module", async () => {
    const frozen = new Moded();
    const inner = new Sequential([new Moded()], { constrained: false });
    const model = new Sequential([frozen, inner], { constrained: false });
    frozen.eval();
    const modes = (): boolean[] => model.modules().map(({ training }) => training);
    const before = modes();
    model.vanillaExport();
    await certify(model, tensor([[1, 0]]));
    expect(modes()).toEqual(before);
  });
});

describe("what is said of a part", () => {
  class Louder extends Linear {
    override forward(x: Tensor): Tensor {
      return super.forward(x).mul(-10);
    }
  }
  const identity = tensor([
    [1, 0],
    [0, 1],
  ]);
  const louder = (): Louder => new Louder(2, 2, { bias: false }, { weight: identity, bias: undefined });

  it("of a container is asked of it first: no bound, export or table of a forward that was replaced", async () => {
    const set = new Linear(2, 2);
    set.forward = (x: Tensor) => x.mul(10);
    for (const part of [louder(), set]) {
      const model = new Sequential([part], { constrained: false });
      const nested = new Sequential([model], { constrained: false });
      for (const one of [part, model, nested]) {
        expect(await codeOf(() => one.lipschitzBound())).toBe("NOT_LIPSCHITZ");
        expect(await codeOf(() => one.vanillaExport())).toBe("NOT_LIPSCHITZ");
      }
      expect(model.summary([2])).toContain("none");
    }
  });

  it("cannot be exchanged under a layer: what it was made with stays", () => {
    const pool = new ScaledL2NormPool2d({ kernelSize: 2 });
    const linear = new Linear(2, 2);
    for (const [layer, field] of [
      [pool, "stride"],
      [pool, "kernelSize"],
      [linear, "map"],
    ] as const) {
      expect(() => Object.assign(layer, { [field]: [1, 1] }), field).toThrow(TypeError);
    }
  });

  it("in a private field is asked too", async () => {
    class Wrapped extends Module {
      readonly #body = new Sequential([louder()], { constrained: false });
      forward(x: Tensor): Tensor {
        return this.#body.forward(x);
      }
      override lipschitzBound(): number | Promise<number> {
        return this.#body.lipschitzBound();
      }
      override rounding(): Rounding {
        return { roundings: 9, offset: 0 };
      }
    }
    expect(await codeOf(() => certify(new Wrapped(), tensor([[1, 0]])))).toBe("NOT_LIPSCHITZ");
  });

  it("is not changed by arrays that were given as options, nor by an overridden figure", async () => {
    const [stride, padding]: [number, number][] = [
      [1, 1],
      [0, 0],
    ];
    const options = { kernelSize: 1, stride: stride ?? 1, padding: padding ?? 0, bias: false };
    const layer = new Conv2d(1, 1, options, { weight: tensor([1], [1, 1, 1, 1]), bias: undefined });
    stride?.fill(2);
    padding?.fill(1);
    const x = tensor([4, 0, 0, 1], [1, 1, 2, 2]);
    const model = new Sequential([layer, new Flatten()], { constrained: false });
    expect((await certify(model, x))[0]?.predicted).toBe((await model.classify(x))[0]);
    class Overlapping extends ScaledL2NormPool2d {
      override get overlap(): number {
        return 1;
      }
    }
    const pool = new Overlapping({ kernelSize: 2, stride: 1 });
    const image = rand([1, 1, 3, 3], { seed: 1 });
    expect(pool.vanillaExport().predictSync(image).held()).toEqual(pool.predictSync(image).held());
  });
});
