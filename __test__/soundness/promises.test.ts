// What a bound is promised of: layers that are used twice, classes that compute something else, exports, saved parts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  assignAll,
  certify,
  compile,
  Flatten,
  type Flow,
  Linear,
  loadModel,
  manualSeed,
  rand,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  saveModel,
  state,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { codeOf } from "../train/subset.js";

/** What effective weights exceed their constants by, in all layers together. */
const ROOM = 1 + 1e-5;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tslip-promises-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("kCoefLip", () => {
  it("is kept by a Sequential in which one layer stands twice", () => {
    manualSeed(1);
    const layer = new SpectralLinear(4, 4);
    const model = new Sequential([layer, layer], { kCoefLip: 3 });
    expect(model.lipschitzBound()).toBeLessThan(3 * ROOM);
    expect(model.lipschitzBound()).toBeGreaterThan(3 / ROOM);
  });

  it("of a part goes with the part into a file", async () => {
    manualSeed(2);
    const inner = new Sequential([new SpectralLinear(4, 4), new SpectralLinear(4, 4)]);
    const outer = new Sequential([inner, new SpectralLinear(4, 4)], { kCoefLip: 4 });
    expect(outer.kCoefLip).toBe(4);
    for (const [name, part] of [
      ["inner", inner],
      ["layer", inner.layers[0] ?? inner],
    ] as const) {
      const path = join(folder, `${name}.safetensors`);
      await saveModel(part, path);
      const x = rand([3, 4], { seed: 1 });
      expect((await (await loadModel(path)).predict(x)).held()).toEqual((await part.predict(x)).held());
    }
  });
});

describe("a class that overrides forward()", () => {
  class Amplified extends Sequential {
    override forward(x: Tensor): Tensor {
      return super.forward(x.mul(10));
    }
  }

  it("gets no bound, export or certificate of the forward it replaced", async () => {
    const model = new Amplified([new SpectralLinear(2, 2)]);
    expect(await codeOf(() => model.lipschitzBound())).toBe("NOT_LIPSCHITZ");
    expect(await codeOf(() => model.vanillaExport())).toBe("NOT_LIPSCHITZ");
    const around = new Sequential([model, new SpectralLinear(2, 2)]);
    expect(await codeOf(() => certify(around, tensor([1, 0.5], [1, 2])))).toBe("NOT_LIPSCHITZ");
    class Layer extends SpectralLinear {
      override forward(x: Tensor): Tensor {
        return super.forward(x).mul(10);
      }
    }
    expect(await codeOf(() => certify(new Layer(2, 2), tensor([1, 0.5], [1, 2])))).toBe("NOT_LIPSCHITZ");
  });
});

describe("a container that overrides flow()", () => {
  class Twice extends Sequential {
    override flow<V>(x: V, flow: Flow<V>): V {
      return super.flow(super.flow(x, flow), flow);
    }
  }
  const layer = (): Linear =>
    new Linear(
      2,
      2,
      {},
      {
        weight: tensor([
          [3, 0],
          [0, 3],
        ]),
        bias: tensor([0, 0]),
      },
    );

  it("has the bound of its own flow, and no export or certificate of the flow it replaced", async () => {
    const model = new Twice([layer()], { constrained: false });
    expect(model.lipschitzBound()).toBeCloseTo(9, 8);
    expect(model.predictSync(tensor([[1, 2]])).held()).toEqual(Float32Array.of(9, 18));
    expect(await codeOf(() => model.vanillaExport())).toBe("NOT_LIPSCHITZ");
    expect(await codeOf(() => certify(model, tensor([[1, 2]])))).toBe("NOT_LIPSCHITZ");
    const set = new Sequential([layer()], { constrained: false });
    set.flow = <V>(x: V) => x;
    expect(await codeOf(() => certify(new Sequential([set], { constrained: false }), tensor([[1, 2]])))).toBe(
      "NOT_LIPSCHITZ",
    );
  });

  it("is certified as what it is where it says what it exports", async () => {
    class Whole extends Twice {
      override vanillaExport(): Sequential {
        return new Whole(
          this.layers.map((one) => one.vanillaExport()),
          { constrained: false },
        );
      }
    }
    const [certificate] = await certify(new Whole([layer()], { constrained: false }), tensor([[1, 2]]));
    expect(certificate?.margin).toBe(9);
    expect(certificate?.lipschitz).toBeCloseTo(9, 8);
    expect(certificate?.radius).toBeCloseTo(1 / Math.SQRT2, 4);
  });
});

describe("inputSize", () => {
  it("is kept by the export, with the bound that holds for that size alone", async () => {
    manualSeed(3);
    const options = { kernelSize: 3, stride: 2, padding: 1, paddingMode: "circular", inputSize: [4, 4] } as const;
    const layer = new SpectralConv2d(1, 1, options);
    const exported = layer.vanillaExport();
    expect(exported.lipschitzBound()).toBe(layer.lipschitzBound());
    expect(await codeOf(() => exported.forward(rand([1, 1, 5, 5], { seed: 1 })))).toBe("SHAPE_MISMATCH");
    const model = new Sequential([layer, new Flatten(), new SpectralLinear(4, 2)]);
    const [certificate] = await certify(model, rand([1, 1, 4, 4], { seed: 1 }));
    expect(certificate?.lipschitz).toBeLessThan(ROOM);
  });
});

describe("states assigned together", () => {
  it("may exchange their values, inside a compiled function as outside", async () => {
    const [a, b] = [state(tensor([1])), state(tensor([2]))];
    const exchange = (): void =>
      assignAll([
        [a, b],
        [b, a],
      ]);
    exchange();
    expect([...(await a.data()), ...(await b.data())]).toEqual([2, 1]);
    await compile((x: Tensor) => {
      exchange();
      return { x };
    })(tensor(0));
    expect([...(await a.data()), ...(await b.data())]).toEqual([1, 2]);
  });
});
