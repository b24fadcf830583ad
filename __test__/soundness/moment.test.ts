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
  manualSeed,
  ReLU,
  type Rounding,
  rand,
  randn,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  state,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { codeOf } from "../train/subset.js";

const warn = vi.spyOn(process, "emitWarning");
beforeAll(() => {
  warn.mockImplementation(() => undefined);
});
afterAll(() => warn.mockRestore());

class Tuning {
  factor = 1;
}

/** A custom layer with honest answers, but for what a test replaces. */
class Custom extends Module {
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
    ["a custom layer", () => new Custom()],
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
    const layer = new Custom();
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
  const changes: [string, (layer: Custom, model: { layers: Module[] }) => void][] = [
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
        model.layers[0] = Object.assign(new Custom(), { slope: -5 });
      },
    ],
    ["a layer added", (_, model) => void model.layers.push(Object.assign(new Custom(), { slope: -5 }))],
  ];

  it.each(changes)("follows a change of %s", async (_, change) => {
    const layer = new Custom();
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
    class Counting extends Custom {
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

describe("a custom layer that answers with something else than numbers", () => {
  const roundings = [
    undefined,
    null,
    3,
    "exact",
    {},
    { roundings: 1 },
    { offset: 1 },
    { roundings: Number.NaN, offset: 0 },
    { roundings: -1, offset: 0 },
    { roundings: 1.5, offset: 0 },
    { roundings: 1, offset: Number.POSITIVE_INFINITY },
    { roundings: 1, offset: -1 },
    { roundings: 1, offset: 0, peak: "1" },
    { roundings: 1, offset: 0, copies: 0 },
    Promise.resolve({ roundings: 1, offset: 0 }),
  ];
  it.each(roundings)("in rounding(), %o, is told so", async (answer) => {
    class Odd extends Custom {
      override rounding(): Rounding {
        return answer as Rounding;
      }
    }
    const model = new Sequential([new Odd()], { constrained: false });
    const refused = certify(model, tensor([[1, 2]]));
    expect(await codeOf(() => refused)).toBe("INVALID_ARGUMENT");
    await expect(refused).rejects.toThrow(/layer 0 \(Odd\): rounding\(\) of Odd/);
  });

  it.each([undefined, null, "1", -1, Number.NaN, Number.POSITIVE_INFINITY, Promise.resolve(1)])(
    "in lipschitzBound(), %o, is told so",
    async (answer) => {
      class Odd extends Custom {
        override lipschitzBound(): number {
          return answer as number;
        }
      }
      const refused = certify(new Sequential([new Odd()], { constrained: false }), tensor([[1, 2]]));
      expect(["INVALID_ARGUMENT", "NON_FINITE"]).toContain(await codeOf(() => refused));
      await expect(refused).rejects.toThrow(/lipschitzBound\(\) of Odd/);
    },
  );

  it("or in forward() or vanillaExport() is told so", async () => {
    class NoTensor extends Custom {
      override forward(): Tensor {
        return undefined as unknown as Tensor;
      }
      override lipschitzBound(): number {
        return 1;
      }
      override rounding(): Rounding {
        return { roundings: 0, offset: 0 };
      }
    }
    class NoModule extends Custom {
      override vanillaExport(): Module {
        return undefined as unknown as Module;
      }
    }
    const x = tensor([[1, 2]]);
    await expect(certify(new NoTensor(), x)).rejects.toThrow(/forward\(\) of NoTensor/);
    expect(await codeOf(() => certify(new NoModule(), x))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(() => certify(new Sequential([new NoModule()], { constrained: false }), x))).toBe(
      "INVALID_ARGUMENT",
    );
  });
});

/** A layer that claims to be 1-Lipschitz and exact. */
class Claiming extends Module {
  constructor(readonly apply: (x: Tensor) => Tensor) {
    super();
  }
  forward(x: Tensor): Tensor {
    return this.apply(x);
  }
  override lipschitzBound(): number {
    return 1;
  }
  override rounding(): Rounding {
    return { roundings: 0, offset: 0 };
  }
}

describe("a layer that mixes the samples of a batch", () => {
  const noise = randn([3, 4], { seed: 1 });
  const mixing: [string, (x: Tensor) => Tensor][] = [
    ["takes off the mean", (x) => x.sub(x.mean(0))],
    ["divides by the largest of all", (x) => x.div(x.max())],
    ["turns the batch around", (x) => x.gather(backwards(x), 0)],
    ["adds the first sample", (x) => x.add(x.slice([0, 0], [1, 4]))],
    ["multiplies samples with each other", (x) => x.matmul(x, { transposeB: true }).matmul(x)],
    ["weighs the samples against each other", (x) => x.softmax(0)],
    ["does so behind moved axes", (x) => x.permute([1, 0]).softmax(-1).permute([1, 0])],
    ["passes values on to the next sample", (x) => x.pad([1, 0], [0, 0]).slice([0, 0], [x.shape[0] ?? 0, 4])],
    ["joins what two samples have", (x) => x.flatten().reshape([4, -1]).permute([1, 0]).softmax(-1)],
    ["adds numbers that differ from place to place", (x) => (x.shape[0] === 3 ? x.add(noise) : x.sub(x.mean(0)))],
    ["sorts the samples", (x) => x.sort(0).values],
    [
      "sees the others in one case alone",
      (x) =>
        x
          .max(0)
          .greater(100)
          .where(x.gather(backwards(x), 0), x),
    ],
    [
      "adds the sample before by a table",
      (x) => x.add(x.takeAlong(backwards(x).reshape([-1, 1]).broadcastTo(x.shape), 0)),
    ],
  ];
  it.each(mixing)("and %s is refused, and named", async (_, apply) => {
    for (const samples of [1, 3]) {
      const model = new Sequential([new Flatten(), new Claiming(apply)], { constrained: false });
      const refused = certify(model, randn([samples, 4], { seed: 2 }));
      expect(await codeOf(() => refused), `${samples} samples`).toBe("NOT_LIPSCHITZ");
      await expect(refused).rejects.toThrow(/layer 1 \(Claiming\).*(mixes the samples|by their place)/);
    }
  });

  function backwards(x: Tensor): Tensor {
    const samples = x.shape[0] ?? 0;
    return tensor(Int32Array.from({ length: samples }, (_, i) => samples - 1 - i));
  }
});

describe("a layer that depends on how many samples there are, or on their places", () => {
  const depending: [string, (x: Tensor) => Tensor][] = [
    ["by a rule for large batches", (x) => ((x.shape[0] ?? 0) > 5 ? x.neg() : x)],
    [
      "by a batch that is written into it",
      (x) => {
        const halves = x.reshape([2, -1]);
        return halves.sub(halves.mean(1, { keepdims: true })).reshape(x.shape);
      },
    ],
  ];
  it.each(depending)("%s is refused", async (_, apply) => {
    for (const samples of [1, 2, 4]) {
      const model = new Sequential([new Claiming(apply)], { constrained: false });
      const refused = certify(model, randn([samples, 4], { seed: 2 }));
      expect(["NOT_LIPSCHITZ", "SHAPE_MISMATCH"]).toContain(await codeOf(() => refused));
    }
  });

  it("by a state with a row for each place is refused", async () => {
    const rows = state(
      tensor([
        [0, 0],
        [-10, 10],
      ]),
      { batched: true },
    );
    const layer = new Claiming((x) => (x.shape[0] === 2 ? x.add(rows) : x));
    const twice = tensor([
      [1, 0],
      [1, 0],
    ]);
    expect(await codeOf(() => certify(layer, twice))).toBe("NOT_LIPSCHITZ");
  });

  it("or alternates from call to call is refused for one image too", async () => {
    let calls = 0;
    const layer = new Claiming((x) => (calls++ % 2 ? x.neg() : x));
    expect(await codeOf(() => certify(layer, tensor([[1, 0]])))).toBe("NOT_LIPSCHITZ");
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

  it("in a private field is asked too", async () => {
    class Wrapped extends Module {
      readonly #body = new Sequential([louder()], { constrained: false });
      forward(x: Tensor): Tensor {
        return this.#body.forward(x);
      }
      override lipschitzBound(): number {
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

  it("is refused where the values given have another shape than the layer", async () => {
    const values = { weight: identity, bias: tensor([3]) };
    expect(await codeOf(() => new Linear(2, 2, {}, values))).toBe("SHAPE_MISMATCH");
    expect(await codeOf(() => new Linear(3, 2, { bias: false }, { ...values, bias: undefined }))).toBe(
      "SHAPE_MISMATCH",
    );
  });
});

describe("numbers that are scaled up again after they were taken for zero", () => {
  class Detour extends Module {
    constructor(readonly lost: number) {
      super();
    }
    forward(x: Tensor): Tensor {
      return x.mul(1e-20).mul(1e20);
    }
    override lipschitzBound(): number {
      return 1 + 1e-6;
    }
    override rounding(): Rounding {
      return { roundings: 8, offset: 0, peak: 2, lost: this.lost };
    }
  }
  it("take from the radius what a layer says that they may cost", async () => {
    const x = tensor([[2e-18, 1e-18]]);
    const [silent] = await certify(new Detour(0), x);
    const [honest] = await certify(new Detour(2 ** -126 * 1e20 * 2), x);
    expect(silent?.radius).toBeGreaterThan(0);
    expect(honest?.radius).toBe(0);
  });
});

it("an empty batch is told so", async () => {
  expect(await codeOf(() => certify(new Identity(), zeros([0, 2])))).toBe("EMPTY_DATASET");
});

describe("a layer that treats each sample by itself", () => {
  const weight = randn([4, 4], { seed: 3 });
  const apart: [string, (x: Tensor) => Tensor][] = [
    [
      "elementwise",
      (x) =>
        x
          .mul(0.5)
          .sigmoid()
          .add(x.mul(0.25))
          .sub(tensor([1, 2, 3, 4])),
    ],
    ["with a constant of one row", (x) => x.add(tensor([[1, 2, 3, 4]]))],
    ["centred by its own mean", (x) => x.sub(x.mean(1, { keepdims: true }))],
    ["as rows of its own", (x) => x.reshape([-1, 2]).relu().reshape([-1, 4])],
    ["by a product", (x) => x.matmul(weight)],
    ["with its axes moved", (x) => x.reshape([-1, 2, 2]).permute([0, 2, 1]).reshape([-1, 4])],
    [
      "cut and joined",
      (x) =>
        x
          .slice([0, 0], [x.shape[0] ?? 0, 2])
          .mul(2)
          .add(x.slice([0, 2], [x.shape[0] ?? 0, 4])),
    ],
  ];
  it.each(apart)("%s is certified, and its logits are the same bits in any batch", async (_, apply) => {
    const model = new Sequential([new Claiming(apply)], { constrained: false });
    const x = randn([7, 4], { seed: 4 });
    const certificates = await certify(model, x);
    const logits = (await model.predict(x)).held();
    const values = x.dataSync();
    const classes = logits.length / 7;
    for (const rows of [[3], [6, 0], [5, 4, 3, 2, 1, 0, 6]]) {
      const cut = tensor(Float32Array.from(rows.flatMap((r) => [...values.slice(4 * r, 4 * r + 4)])), [rows.length, 4]);
      expect((await certify(model, cut)).map(({ margin, radius }) => [margin, radius])).toEqual(
        rows.map((r) => [certificates[r]?.margin, certificates[r]?.radius]),
      );
      expect([...(await model.predict(cut)).held()]).toEqual(
        rows.flatMap((r) => [...logits.slice(classes * r, classes * (r + 1))]),
      );
    }
  });

  it("as all layers of the library do is certified, and its logits are the same bits in any batch", async () => {
    manualSeed(3);
    const model = new Sequential(
      [
        new SpectralConv2d(2, 8, { kernelSize: 3, padding: 2, paddingMode: "reflect" }),
        new GroupSort2(),
        new ScaledL2NormPool2d({ kernelSize: 3, stride: 2 }),
        new Conv2d(8, 6, { kernelSize: 3, groups: 2, stride: 2, padding: 1, paddingMode: "replicate" }),
        new ReLU(),
        new Identity(),
        new Flatten(),
        new Linear(54, 16),
        new GroupSort(4, { kCoefLip: 0.5 }),
        new SpectralLinear(16, 3),
      ],
      { constrained: false },
    ).vanillaExport();
    const x = rand([33, 2, 9, 9], { seed: 5 });
    const certificates = await certify(model, x);
    const values = x.dataSync();
    for (const rows of [[0], [32], [7, 7, 3], [31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19]]) {
      const cut = rows.flatMap((r) => [...values.slice(162 * r, 162 * (r + 1))]);
      expect(await certify(model, tensor(Float32Array.from(cut), [rows.length, 2, 9, 9]))).toEqual(
        rows.map((r) => certificates[r]),
      );
    }
  });
});

describe("a layer that computes something else each time", () => {
  const changing: [string, (x: Tensor) => Tensor][] = [
    ["with random numbers of the engine", (x) => x.add(rand([4]))],
    ["with random numbers of JavaScript", (x) => x.add(Math.random())],
    ["with a tensor that is made anew", (x) => x.add(tensor([Math.random(), 0, 0, 0]))],
    [
      "by a counter",
      (
        (n) => (x: Tensor) =>
          x.mul(++n % 2)
      )(0),
    ],
  ];
  it.each(changing)("%s is refused, and named", async (_, apply) => {
    const model = new Sequential([new Identity(), new Claiming(apply), new Flatten()], { constrained: false });
    const refused = certify(model, randn([2, 4], { seed: 2 }));
    expect(await codeOf(() => refused)).toBe("NOT_LIPSCHITZ");
    await expect(refused).rejects.toThrow(/layer 1 \(Claiming\).*each time/);
  });

  it("because it sets states is refused", async () => {
    const count = state(zeros([]));
    const counting = new Claiming((x) => {
      assign(count, count.add(1));
      return x.mul(count);
    });
    expect(await codeOf(() => certify(counting, randn([2, 4], { seed: 2 })))).toBe("NOT_LIPSCHITZ");
  });

  it("is not what a layer with fixed random numbers does", async () => {
    const noise = rand([4], { seed: 1 });
    const [certificate] = await certify(new Claiming((x) => x.add(noise)), randn([2, 4], { seed: 2 }));
    expect(certificate?.radius).toBeGreaterThan(0);
  });
});
