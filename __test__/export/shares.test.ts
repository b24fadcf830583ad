// Constants that containers have handed out are those of what is saved, whichever container that was.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Concat,
  fromJSON,
  LipResidual,
  LipschitzModule,
  loadModel,
  MaxMin,
  type Module,
  manualSeed,
  ReLU,
  randn,
  Sequential,
  SpectralLinear,
  saveModel,
} from "tslip";
import { afterAll, beforeAll, expect, it } from "vitest";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tslip-shares-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const layer = (): SpectralLinear => new SpectralLinear(2, 2);

/** The constants of all layers, of each place where one stands. */
function constants(model: Module): number[] {
  const parts = model.children().flatMap(([, part]) => constants(part));
  return model instanceof LipschitzModule && parts.length === 0 ? [model.kCoefLip] : parts;
}

/** A layer whose constant is another container's. */
function foreign(kCoefLip: number): SpectralLinear {
  const made = layer();
  new Sequential([made], { kCoefLip });
  return made;
}

const models: [string, () => Module, readonly number[]][] = [
  ["beside a layer that makes up for it", () => new Sequential([foreign(3), layer()], { kCoefLip: 1 }), [3, 1 / 3]],
  ["of 1, which is not open", () => new Sequential([foreign(1), layer()], { kCoefLip: 4 }), [1, 4]],
  ["in an ordinary container", () => new Sequential([foreign(0.5)], { constrained: false }), [0.5]],
  ["in a branch", () => new LipResidual(foreign(0.5)), [0.5]],
  ["side by side with others", () => new Concat([foreign(0.5), layer()]), [0.5, Math.sqrt(0.75)]],
  [
    "in two parts of one model",
    () => {
      const shared = layer();
      const first = new Sequential([shared, layer()], { kCoefLip: 0.25 });
      return new Concat([first, new Sequential([shared, new ReLU(), layer()])], { kCoefLip: 2 });
    },
    [0.5, 0.5, 0.5, Math.sqrt(4 - 0.25 ** 2) / 0.5],
  ],
  ["of a container as a whole", () => new Sequential([new Sequential([foreign(3)]), layer()], { kCoefLip: 6 }), [3, 2]],
];

it.each(models)(
  "a share %s is that of the model that is loaded, and what it computes",
  async (name, build, expected) => {
    manualSeed(4);
    const model = build();
    constants(model).forEach((kCoefLip, i) => expect(kCoefLip).toBeCloseTo(expected[i] ?? Number.NaN, 12));
    const path = join(folder, `${name}.safetensors`);
    await saveModel(model, path);
    const loaded = await loadModel(path);
    expect(constants(loaded)).toEqual(constants(model));
    const x = randn([5, 2], { seed: 1 });
    expect((await loaded.predict(x)).held()).toEqual((await model.predict(x)).held());
    expect(constants(fromJSON(JSON.parse(JSON.stringify(model))))).toEqual(constants(model));
  },
);

it("a model whose constant another container has set is saved with it", async () => {
  const inner = new Sequential([layer(), layer()]);
  new Sequential([inner], { kCoefLip: 9 });
  const path = join(folder, "inner.safetensors");
  await saveModel(inner, path);
  expect(constants(await loadModel(path))).toEqual([3, 3]);
});

it("a Concat that keeps what its branches have is loaded, whatever that is", async () => {
  for (let kCoefLip = 1.5; kCoefLip < 20; kCoefLip += 1) {
    const model = new Concat([new LipResidual(new ReLU()), new SpectralLinear(2, 2, { kCoefLip })]);
    const path = join(folder, "room.safetensors");
    await saveModel(model, path);
    const loaded = await loadModel(path);
    expect((loaded as Concat).kCoefLip).toBe(model.kCoefLip);
    expect(constants(loaded)).toEqual(constants(model));
  }
});

it("a container of which nothing can change leaves all of the constant to the others, as one of another constant does", () => {
  for (const [own, inner] of [
    [1, new Sequential([new SpectralLinear(2, 2, { kCoefLip: 1 })])],
    [0.5, new Sequential([new SpectralLinear(2, 2, { kCoefLip: 0.5 })])],
    [1, new Sequential([new ReLU()])],
  ] as const) {
    for (const kCoefLip of [0.25, 4]) {
      const open = layer();
      new Sequential([inner, open], { kCoefLip });
      expect(open.kCoefLip).toBeCloseTo(kCoefLip / own, 12);
    }
  }
});

it("constants that were made for a whole are taken for it, however they round", () => {
  for (let total = 0.1; total < 10; total *= 1.3) {
    for (const count of [2, 3, 5, 7]) {
      const parts = Array.from({ length: count }, () => new MaxMin({ kCoefLip: total ** (1 / count) }));
      expect(new Sequential(parts, { kCoefLip: total }).lipschitzBound()).toBeLessThanOrEqual(total * (1 + 1e-12));
      expect(() => new Sequential(parts, { kCoefLip: total * (1 - 1e-9) })).toThrow(/kCoefLip/);
    }
  }
});
