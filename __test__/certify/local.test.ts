// Local certificates: no smaller than the fast ones, larger where a network is not as steep as its constant, and never beaten.
import {
  type Certificate,
  Concat,
  Conv1d,
  certify,
  DDNAttack,
  Flatten,
  FullSort,
  Generator,
  GroupSort,
  GroupSort2,
  L2FMNAttack,
  Linear,
  LipResidual,
  MaxMin,
  MaxPool2d,
  Module,
  manualSeed,
  Normalize,
  ReLU,
  type Rounding,
  ScaleBiasLayer,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  Tanh,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";

/** A network with the shape of its samples. */
type Made = readonly [model: Module, sample: readonly number[]];

const images = (n: number, sample: readonly number[], seed: number): Tensor =>
  new Generator({ seed }).normal([n, ...sample]);

const pooled = (kCoefLip = 1): Made => [
  new Sequential(
    [
      new SpectralConv2d(1, 4, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      new ScaledL2NormPool2d({ kernelSize: 2 }),
      new SpectralConv2d(4, 8, { kernelSize: 3, padding: 1, paddingMode: "reflect" }),
      new GroupSort(4),
      new ScaledL2NormPool2d({ kernelSize: 2 }),
      new Flatten(),
      new SpectralLinear(32, 16),
      new GroupSort2(),
      new SpectralLinear(16, 4, { bias: false }),
    ],
    { kCoefLip },
  ),
  [1, 8, 8],
];

/** Networks of all that a local certificate looks into, and of what it does not. */
const networks: Readonly<Record<string, () => Made>> = {
  "sorts and pooling": () => pooled(),
  "sorts and pooling, three times as steep": () => pooled(3),
  "rectifiers and maxima": () => [
    new Sequential(
      [
        new Normalize([0.1, 0.2], [0.5, 2]),
        new SpectralConv2d(2, 4, { kernelSize: 3, stride: 2, padding: 1 }),
        new ReLU(),
        new MaxPool2d({ kernelSize: 2 }),
        new ScaleBiasLayer(0.5, 4),
        new Flatten(),
        new SpectralLinear(16, 8),
        new MaxMin(),
        new SpectralLinear(16, 3),
      ],
      { constrained: false },
    ),
    [2, 8, 8],
  ],
  sequences: () => [
    new Sequential(
      [new Conv1d(2, 4, { kernelSize: 3, padding: "same" }), new FullSort(), new Flatten(), new Linear(24, 3)],
      {
        constrained: false,
      },
    ),
    [2, 6],
  ],
  branches: () => [
    new Sequential([
      new SpectralLinear(6, 8),
      new LipResidual(new Sequential([new SpectralLinear(8, 8), new GroupSort2()])),
      new SpectralLinear(8, 3),
    ]),
    [6],
  ],
  "a layer that is not looked into": () => [
    new Sequential([
      new SpectralLinear(6, 8),
      new GroupSort2(),
      new SpectralLinear(8, 8),
      new Tanh(),
      new SpectralLinear(8, 3),
    ]),
    [6],
  ],
};

/** Where the class is another one, by the nearest of two attacks; Infinity where both fail. */
async function nearest(model: Module, x: Tensor, certificates: readonly Certificate[]): Promise<number[]> {
  const labels = Int32Array.from(certificates, ({ predicted }) => predicted);
  const bounds = [-100, 100] as const;
  const runs = [new DDNAttack({ steps: 60 }), new L2FMNAttack({ steps: 60 })].map((attack) =>
    attack.run(model, x, labels, { bounds }),
  );
  const found = await Promise.all(runs);
  return certificates.map((_, i) =>
    Math.min(...found.map(({ distances }) => distances[i] ?? Number.POSITIVE_INFINITY)),
  );
}

describe.each(Object.entries(networks))("a network of %s", (_, made) => {
  it("has local radii of at least the fast ones, which nothing beats", async () => {
    manualSeed(5);
    const [model, sample] = made();
    const x = images(12, sample, 3);
    const fast = await certify(model, x);
    const local = await certify(model, x, { effort: "local" });
    local.forEach(({ radius, effort, ...rest }, i) => {
      const { radius: proved, effort: __, ...same } = fast[i] as Certificate;
      expect(rest).toEqual(same);
      expect(radius).toBeGreaterThanOrEqual(proved);
      expect(effort).toBe(radius > proved ? "local" : "fast");
    });
    const distances = await nearest(model, x, local);
    expect(distances.some(Number.isFinite)).toBe(true);
    local.forEach(({ radius }, i) => expect(radius).toBeLessThan(distances[i] ?? Number.NaN));
    // Again, by what is known now, and one by one.
    expect(await certify(model, x, { effort: "local" })).toEqual(local);
    expect(await certify(model, x.slice([3], [4]), { effort: "local" })).toEqual([local[3]]);
  });
});

it("a network that is less steep near images than anywhere has radii that are larger by far", async () => {
  manualSeed(5);
  const [model, sample] = pooled();
  const x = images(12, sample, 3);
  const sum = (of: readonly Certificate[]): number => of.reduce((all, { radius }) => all + radius, 0);
  const [fast, once, local] = [
    await certify(model, x),
    await certify(model, x, { effort: 1 }),
    await certify(model, x, { effort: "local" }),
  ];
  expect(sum(once)).toBeGreaterThan(sum(fast));
  expect(sum(local)).toBeGreaterThan(1.25 * sum(fast));
});

it("where no unit can turn the radius is the distance to where a linear function changes its class", async () => {
  // Both units are far from 0: f is x_0 + x_1 against 0, of slope sqrt(2), and its constants multiply to 2 and more.
  const hidden = { weight: tensor([1, 0, 0, 1, -1, 0, 0, -1], [4, 2]), bias: tensor([10, 10, -30, -30]) };
  const last = { weight: tensor([1, 1, 1, 1, 0, 0, 0, 0], [2, 4]), bias: tensor([-20, 0]) };
  const model = new Sequential([new Linear(2, 4, {}, hidden), new ReLU(), new Linear(4, 2, {}, last)], {
    constrained: false,
  });
  const [local] = await certify(model, tensor([[1, 1]]), { effort: 20 });
  expect(local).toMatchObject({ predicted: 0, effort: "local" });
  expect(local?.radius).toBeLessThanOrEqual(Math.SQRT2);
  expect(local?.radius).toBeGreaterThan(Math.SQRT2 * 0.998);
});

it("a local radius holds in float32 up to its last number, at scales of biases at which float32 tells few numbers apart", async () => {
  const random = new Generator({ seed: 9 });
  for (const scale of [1, 1e3, 1e6]) {
    const hidden = { weight: random.normal([8, 2]), bias: random.normal([8]).mul(scale) };
    const last = { weight: random.normal([3, 8]), bias: random.normal([3]).mul(scale) };
    const model = new Sequential([new Linear(2, 8, {}, hidden), new GroupSort2(), new Linear(8, 3, {}, last)], {
      constrained: false,
    });
    const x = Float32Array.from(await random.normal([2]).data());
    const [local] = await certify(model, tensor(x, [1, 2]), { effort: "local" });
    const { predicted, radius } = local as Certificate;
    // The class that the engine computes in float32, all around and right up to the radius.
    const moved = Array.from({ length: 2000 }, (_, i) => {
      const [angle, share] = [(i * 2 * Math.PI) / 500, [0.3, 0.9, 0.999, 0.999999][i % 4] ?? 1];
      return [
        Math.fround((x[0] ?? 0) + radius * share * Math.cos(angle)),
        Math.fround((x[1] ?? 0) + radius * share * Math.sin(angle)),
      ];
    }).filter(([a = 0, b = 0]) => Math.hypot(a - (x[0] ?? 0), b - (x[1] ?? 0)) < radius);
    const classes = moved.length === 0 ? [] : await model.classify(tensor(moved));
    for (const one of classes) expect(one).toBe(predicted);
    expect(moved.length).toBeGreaterThan(scale === 1 ? 1000 : 100);
  }
});

it("a method of one's own that is called pieces says nothing to a certificate", async () => {
  class Corner extends Module {
    constructor(readonly pieces: unknown) {
      super();
    }
    forward(x: Tensor): Tensor {
      return x.abs();
    }
    override lipschitzBound(): number {
      return 1;
    }
    override rounding(): Rounding {
      return { roundings: 0, offset: 0 };
    }
    override vanillaExport(): this {
      return this;
    }
  }
  const beside = new Linear(1, 1, { bias: false }, { weight: tensor([1], [1, 1]), bias: undefined });
  const last = { weight: tensor([-1, 1, 0, 0], [2, 2]), bias: tensor([1, 0], [2]) };
  const saying = [
    () => ({ from: [], parts: [] }),
    () => ({ from: [], parts: [{ kind: "corner" }] }),
    () => {
      throw new Error("no pieces");
    },
    7,
  ];
  for (const pieces of saying) {
    const branches = new Concat([new Corner(pieces), beside], { constrained: false });
    const model = new Sequential([branches, new Linear(2, 2, {}, last)], { constrained: false });
    const x = tensor([1], [1, 1]);
    const [local] = await certify(model, x, { effort: "local" });
    // At -0.6 the class is another one.
    expect(local?.radius).toBeGreaterThan(0.4);
    expect(local?.radius).toBeLessThanOrEqual(1.6);
  }
});

it("a layer of one's own counts by its constant", async () => {
  class Half extends Module {
    forward(x: Tensor): Tensor {
      return x.mul(0.5);
    }
    override lipschitzBound(): number {
      return 0.5;
    }
    override rounding(): Rounding {
      return { roundings: 0, offset: 0 };
    }
    override vanillaExport(): this {
      return this;
    }
  }
  manualSeed(2);
  const model = new Sequential([new Half(), new SpectralLinear(6, 8), new GroupSort2(), new SpectralLinear(8, 3)], {
    constrained: false,
  });
  const x = images(4, [6], 1);
  const [fast, local] = [await certify(model, x), await certify(model, x, { effort: "local" })];
  local.forEach(({ radius }, i) => expect(radius).toBeGreaterThanOrEqual(fast[i]?.radius ?? Number.NaN));
});

describe("a search", () => {
  it("tells how far it is, and ends with the reason of a signal", async () => {
    manualSeed(5);
    const [model, sample] = pooled();
    const x = images(40, sample, 3);
    const shares: number[] = [];
    await certify(model, x, { effort: 1, onProgress: (share) => shares.push(share) });
    expect(shares.length).toBeGreaterThan(1);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
    const reason = new Error("enough");
    const controller = new AbortController();
    const stopped = certify(model, x, {
      effort: 100,
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(stopped).rejects.toBe(reason);
    await expect(certify(model, x, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const broken = certify(model, x, {
      effort: 1,
      onProgress: () => {
        throw reason;
      },
    });
    await expect(broken).rejects.toBe(reason);
  });

  it("is refused efforts that are none", async () => {
    const x = images(1, [1, 8, 8], 3);
    for (const effort of ["slow", 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, null, "6"] as never[]) {
      expect(await codeOf(() => certify(pooled()[0], x, { effort }))).toBe("INVALID_ARGUMENT");
    }
  });
});
