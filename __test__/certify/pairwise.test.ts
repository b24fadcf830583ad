// Certificates by the rows of a linear last layer: what is exact there, when they are taken, and that nothing beats them.
import {
  type Certificate,
  certify,
  Generator,
  GroupSort2,
  Linear,
  manualSeed,
  Sequential,
  SpectralLinear,
  Tanh,
  tensor,
} from "tslip";
import { expect, it } from "vitest";
import { codeOf } from "../train/subset.js";

/** A last layer alone: its rows bound every difference of logits by as much as it changes. */
const head = (weight: number[][]): Sequential => {
  const [classes, features] = [weight.length, weight[0]?.length ?? 0];
  const values = { weight: tensor(weight), bias: undefined };
  return new Sequential([new Linear(features, classes, { bias: false }, values)], { constrained: false });
};

it("a radius is the distance to where a linear model changes its class, whichever class that is", async () => {
  // The runner-up is class 1, but class 2, whose row is farther from that of class 0, comes first.
  const rows = [
    [1, 0],
    [0.5, 0.1],
    [-3, 6],
  ];
  const x = [1, 0.2];
  const logits = rows.map((row) => row.reduce((sum, w, i) => sum + Math.fround(w) * Math.fround(x[i] ?? 0), 0));
  const exact = [1, 2].map((i) => {
    const apart = Math.hypot(...(rows[0] ?? []).map((w, j) => Math.fround(w) - Math.fround(rows[i]?.[j] ?? 0)));
    return ((logits[0] ?? 0) - (logits[i] ?? 0)) / apart;
  });
  const [certificate] = await certify(head(rows), tensor([x]));
  expect(certificate).toMatchObject({ predicted: 0, runnerUp: 1, kind: "pairwise" });
  expect(certificate?.radius).toBeLessThanOrEqual(Math.min(...exact));
  // What float32 may round in a layer of this norm.
  expect(certificate?.radius).toBeGreaterThan(Math.min(...exact) * (1 - 1e-4));
  expect(Math.min(...exact)).toBe(exact[1]);
  const [generic] = await certify(head(rows), tensor([x]), { head: "generic" });
  expect(generic).toMatchObject({ predicted: 0, kind: "generic", lipschitz: certificate?.lipschitz });
  expect(generic?.radius).toBeLessThan(0.5 * (certificate?.radius ?? 0));
});

it("auto takes the larger radius of each image, on the first call and on later ones", async () => {
  manualSeed(3);
  const images = new Generator({ seed: 1 }).normal([40, 12]);
  const values = tensor(await images.data(), [40, 12]);
  for (const last of [new Linear(8, 5), new SpectralLinear(8, 5)]) {
    const model = new Sequential([new SpectralLinear(12, 8), new GroupSort2(), last], { constrained: false });
    const of = (how: "auto" | "generic" | "pairwise"): Promise<Certificate[]> => certify(model, values, { head: how });
    const [auto, generic, pairwise] = [await of("auto"), await of("generic"), await of("pairwise")];
    auto.forEach(({ radius, kind }, i) => {
      const [a = 0, b = 0] = [generic[i]?.radius, pairwise[i]?.radius];
      expect(radius).toBe(Math.max(a, b));
      expect(kind).toBe(b > a ? "pairwise" : "generic");
      // By as much as is rounded outward a distance of rows may be above sqrt(2) times the norm.
      expect(b).toBeGreaterThan(a * (1 - 1e-6));
    });
    expect(await of("auto")).toEqual(auto);
    expect(await certify(model.vanillaExport(), values)).toEqual(auto);
  }
});

it("a radius by the bounds of both logits, each by itself, is one by the sum of the norms of their rows", async () => {
  const x = [1, 0.2];
  const rows = [
    [3, 4],
    [-5, 12],
  ];
  const [certificate] = await certify(head(rows), tensor([x]), { head: "disjoint" });
  expect(certificate).toMatchObject({ kind: "disjoint", predicted: 0 });
  const [y = 0, i = 0] = rows.map((row) => row.reduce((sum, w, j) => sum + w * Math.fround(x[j] ?? 0), 0));
  expect(certificate?.radius).toBeLessThanOrEqual((y - i) / 18);
  expect(certificate?.radius).toBeGreaterThan(((y - i) / 18) * (1 - 1e-4));
  const [pairwise] = await certify(head(rows), tensor([x]), { head: "pairwise" });
  expect(pairwise?.radius).toBeGreaterThan(certificate?.radius ?? Number.NaN);
});

it("rows are asked for in vain where the last layer is not linear", async () => {
  const model = new Sequential([new SpectralLinear(2, 3), new Tanh()], { constrained: false });
  const x = tensor([[1, 2]]);
  for (const by of ["pairwise", "disjoint"] as const) {
    expect(await codeOf(() => certify(model, x, { head: by }))).toBe("INVALID_ARGUMENT");
    await expect(certify(model, x, { head: by })).rejects.toThrow(
      /"(pairwise|disjoint)" needs a last layer that is linear/,
    );
  }
  expect((await certify(model, x))[0]?.kind).toBe("generic");
});

it("a class that answers for its own function is not judged by the rows of the class that it extends", async () => {
  /** Ten times what the rows say, as it claims. */
  class Louder extends Linear {
    override forward(x: Parameters<Linear["forward"]>[0]): ReturnType<Linear["forward"]> {
      return super.forward(x).mul(10);
    }
    override lipschitzBound(): number {
      return 10 * super.lipschitzBound();
    }
    override rounding(results: number): ReturnType<Linear["rounding"]> {
      const { roundings, offset } = super.rounding(results);
      return { roundings: roundings + 1, offset: 10 * offset };
    }
    override vanillaExport(): this {
      return this;
    }
  }
  const louder = new Louder(2, 2, { bias: false }, { weight: tensor([1, 0, 0, 1], [2, 2]), bias: undefined });
  const [certificate] = await certify(louder, tensor([[1, 0.5]]));
  expect(certificate).toMatchObject({ kind: "generic", predicted: 0, margin: 5 });
  expect(certificate?.radius).toBeLessThanOrEqual(0.5 / Math.SQRT2);
});

it("equal rows that tie have radius 0, and no bound where a bias keeps them apart", async () => {
  const values = (bias: number[]) => ({ weight: tensor([1, 2, 1, 2], [2, 2]), bias: tensor(bias) });
  const [tied] = await certify(new Linear(2, 2, {}, values([0, 0])), tensor([[1, 1]]));
  expect(tied).toMatchObject({ margin: 0, radius: 0 });
  const [apart] = await certify(new Linear(2, 2, {}, values([1, 0])), tensor([[1, 1]]));
  // Only what float32 rounds limits it.
  expect(apart?.radius).toBeGreaterThan(1e4);
});

it("nothing beats a pairwise radius in float32, and just beyond it something does where the model is linear", async () => {
  const random = new Generator({ seed: 7 });
  let [flipped, tried] = [0, 0];
  for (let round = 0; round < 60; round++) {
    const scale = 10 ** ((round % 7) - 3);
    const rows = await random.normal([3, 4]).data();
    const weight = tensor(
      Array.from(rows, (w) => w * scale),
      [3, 4],
    );
    const model = new Linear(4, 3, {}, { weight, bias: random.normal([3]).mul(0.1 * scale) });
    const x = Float32Array.from(await random.normal([4]).data());
    const [certificate] = await certify(model, tensor(x, [1, 4]));
    const { predicted, radius } = certificate as Certificate;
    const w = await weight.data();
    for (const other of [0, 1, 2].filter((i) => i !== predicted)) {
      // Straight to where the other logit grows fastest.
      const direction = Array.from(x, (_, j) => (w[4 * other + j] ?? 0) - (w[4 * predicted + j] ?? 0));
      const length = Math.hypot(...direction);
      for (const times of [0.5, 0.9, 0.999, 0.999999, 1.00001, 1.001]) {
        const moved = x.map((v, j) => v + (radius * times * (direction[j] ?? 0)) / length);
        const distance = Math.hypot(...moved.map((v, j) => v - (x[j] ?? 0)));
        const logits = (await model.predict(tensor(moved, [1, 4]))).held();
        const now = logits.indexOf(Math.max(...logits));
        if (distance < radius) expect(now).toBe(predicted);
        else {
          tried++;
          if (now !== predicted) flipped++;
        }
      }
    }
  }
  // Of the two other classes one is the nearer.
  expect(flipped / tried).toBeGreaterThan(0.3);
});
