// What is asked of layers of one's own: numbers for answers, each sample by itself, the same function at each call.
import {
  assign,
  Conv2d,
  certify,
  Flatten,
  Generator,
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
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { Claiming, Doubling, silenceWarnings } from "./custom.js";

silenceWarnings();

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
    Promise.resolve({ roundings: -1, offset: 0 }),
    Promise.resolve(undefined),
  ];
  it.each(roundings)("in rounding(), %o, is told so", async (answer) => {
    class Odd extends Doubling {
      override rounding(): Rounding {
        return answer as Rounding;
      }
    }
    const model = new Sequential([new Odd()], { constrained: false });
    const refused = certify(model, tensor([[1, 2]]));
    expect(await codeOf(() => refused)).toBe("INVALID_ARGUMENT");
    await expect(refused).rejects.toThrow(/layer 0 \(Odd\): rounding\(\) of Odd/);
  });

  const bounds = [undefined, null, "1", -1, Number.NaN, Number.POSITIVE_INFINITY, {}];
  it.each([...bounds, ...bounds.map((bound) => Promise.resolve(bound))])(
    "in lipschitzBound(), %o, is told so",
    async (answer) => {
      class Odd extends Doubling {
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
    class NoTensor extends Doubling {
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
    class NoModule extends Doubling {
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
    [
      "with those of a generator",
      (
        (source) => (x: Tensor) =>
          x.add(source.normal([4]))
      )(new Generator()),
    ],
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
