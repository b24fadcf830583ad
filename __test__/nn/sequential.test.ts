// Sequential: sharing of the constant, warnings, bounds, export, prediction, state dictionaries, summary.
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  Flatten,
  GroupSort2,
  Identity,
  Linear,
  loadSafetensors,
  Module,
  manualSeed,
  ReLU,
  randn,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  type Tensor,
  TslipError,
  tensor,
} from "../../src/index.js";

/** Singular values after Björck are within 2e-6 of 1, in each of four layers. */
const BOUND_ROOM = 2e-5;

class Swish extends Module {
  forward(x: Tensor): Tensor {
    return x.mul(x.sigmoid());
  }
}

const network = (kCoefLip = 1): Sequential => {
  manualSeed(1);
  return new Sequential(
    [
      new SpectralConv2d(1, 4, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      new ScaledL2NormPool2d({ kernelSize: 2 }),
      new Flatten(),
      new SpectralLinear(36, 8),
      new GroupSort2(),
      new SpectralLinear(8, 3, { bias: false }),
    ],
    { kCoefLip },
  );
};

const errorOf = (run: () => unknown): TslipError => {
  try {
    run();
  } catch (error) {
    if (error instanceof TslipError) return error;
    throw error;
  }
  throw new Error("nothing thrown");
};

afterEach(() => {
  vi.restoreAllMocks();
});

describe("kCoefLip", () => {
  it("is shared out so that the product does not exceed it", () => {
    const model = network(5);
    const shares = model.layers.filter((l) => l instanceof SpectralLinear || l instanceof SpectralConv2d);
    expect(shares.map((l) => l.kCoefLip)).toEqual(Array(3).fill(shares[0]?.kCoefLip));
    expect(shares[0]?.kCoefLip).toBeCloseTo(5 ** (1 / 6), 12);
    expect((shares[0]?.kCoefLip ?? Number.NaN) ** 6).toBeLessThanOrEqual(5 * (1 + 4 * Number.EPSILON));
    expect(model.lipschitzBound()).toBeLessThan(5 * (1 + BOUND_ROOM));
  });

  it("leaves a layer the constant it was given and divides it out", () => {
    const [fixed, open] = [new SpectralLinear(2, 2, { kCoefLip: 4 }), new SpectralLinear(2, 2)];
    new Sequential([fixed, open], { kCoefLip: 2 });
    expect([fixed.kCoefLip, open.kCoefLip]).toEqual([4, 0.5]);
  });

  it("counts a nested Sequential as one layer", () => {
    const inner = [new SpectralLinear(2, 2), new SpectralLinear(2, 2)] as const;
    const outer = new SpectralLinear(2, 2);
    new Sequential([new Sequential(inner), outer], { kCoefLip: 16 });
    expect([...inner, outer].map((l) => l.kCoefLip)).toEqual([2, 2, 4]);
  });

  it("must be finite and positive, and cannot be below what all layers ask for", () => {
    for (const kCoefLip of [0, -2, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(errorOf(() => new Sequential([], { kCoefLip })).code).toBe("INVALID_ARGUMENT");
    }
    const layers = [new SpectralLinear(2, 2, { kCoefLip: 3 })];
    expect(errorOf(() => new Sequential(layers, { kCoefLip: 1 })).message).toContain("3");
  });
});

describe("layers without a constant", () => {
  it("are named in a warning, and refused by the bound", () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const model = new Sequential([new SpectralLinear(2, 2), new Swish()]);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(String(warn.mock.calls[0]?.[0])).toMatch(/layer 1 \(Swish\)/);
    const error = errorOf(() => model.lipschitzBound());
    expect(error.code).toBe("NOT_LIPSCHITZ");
    expect(error.message).toMatch(/layer 1 \(Swish\)/);
    expect(model.vanillaExport().layers[1]).toBe(model.layers[1]);
  });

  it("are not named when they are 1-Lipschitz or when nothing is promised", () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    new Sequential([new SpectralLinear(2, 2), new ReLU(), new Flatten(), new Identity()]);
    new Sequential([new Linear(2, 2)], { constrained: false });
    expect(warn).not.toHaveBeenCalled();
  });
});

describe("a model", () => {
  it("predicts, classifies and exports with the same values", async () => {
    const model = network(2);
    const x = randn([5, 1, 6, 6], { seed: 2 });
    const logits = await model.predict(x);
    const vanilla = model.vanillaExport();
    expect(logits.shape).toEqual([5, 3]);
    expect(vanilla.predictSync(x).held()).toEqual(logits.held());
    expect(vanilla.lipschitzBound()).toBe(model.lipschitzBound());
    expect(vanilla.layers.map((l) => l.constructor.name)).toEqual([
      "Conv2d",
      "GroupSort2",
      "ScaledL2NormPool2d",
      "Flatten",
      "Linear",
      "GroupSort2",
      "Linear",
    ]);
    expect(Array.from(await model.classify(x))).toEqual(Array.from(logits.argmax(1).dataSync()));
    expect(model.training).toBe(true);
  });

  it("scales u8 images as data sets do", async () => {
    const model = network();
    const bytes = Uint8Array.from({ length: 36 }, (_, i) => i * 7);
    const floats = Float32Array.from(bytes, (b) => Math.fround(b / 255));
    const fromBytes = await model.predict({ data: bytes, shape: [1, 1, 6, 6] });
    expect(fromBytes.held()).toEqual((await model.predict({ data: floats, shape: [1, 1, 6, 6] })).held());
  });

  it("reads its input at once: what is written to it afterwards changes no result", async () => {
    const model = network();
    const values = randn([64, 1, 6, 6], { seed: 5 }).dataSync();
    const expected = model.predictSync({ data: values, shape: [64, 1, 6, 6] }).held();
    // A view of a larger buffer, of memory that threads may share, is read where it begins.
    const shared = new Float32Array(new SharedArrayBuffer(4 * (values.length + 3)), 12);
    for (const data of [values.slice(), shared]) {
      data.set(values);
      const calls = [model.predict({ data, shape: [64, 1, 6, 6] }), model.predict({ data, shape: [64, 1, 6, 6] })];
      data.fill(0);
      for (const logits of await Promise.all(calls)) expect(logits.held()).toEqual(expected);
    }
    const identity = new Sequential([new Identity()], { constrained: false });
    const data = Float32Array.of(1, 2);
    const result = identity.predictSync({ data, shape: [1, 2] });
    data.fill(0);
    expect(Array.from(result.held())).toEqual([1, 2]);
  });

  it("refuses values that do not fill the shape", async () => {
    const data = new Float32Array(35);
    await expect(network().predict({ data, shape: [1, 1, 6, 6] })).rejects.toMatchObject({ code: "SHAPE_MISMATCH" });
    expect(() => network().predictSync({ data, shape: [1, 1, -6, 6] })).toThrow(/whole numbers/);
  });

  it("files its states under torchlip's keys and takes them back", async () => {
    const [a, b] = [network(), network()];
    b.layers.forEach((l) => l instanceof SpectralLinear && l.weight.assign(randn(l.weight.shape, { seed: 9 })));
    const x = randn([2, 1, 6, 6], { seed: 3 });
    const record = await b.stateDict();
    expect(Object.keys(record).filter((k) => k.startsWith("0."))).toEqual(
      [
        "0.bias",
        "0.parametrizations.weight.original",
        "0.parametrizations.weight.0._u",
        "0.parametrizations.weight.0._v",
        "0.parametrizations.weight.1._w_bjorck",
      ].toSorted((p, q) => Object.keys(record).indexOf(p) - Object.keys(record).indexOf(q)),
    );
    expect(record["0.parametrizations.weight.0._v"]?.shape).toEqual([9]);
    a.loadStateDict(record);
    expect(a.predictSync(x).held()).toEqual(b.predictSync(x).held());
  });

  it("lists every mismatch of a state dictionary and changes nothing", async () => {
    const model = network();
    const before = model.predictSync(randn([1, 1, 6, 6], { seed: 4 })).held();
    const { "0.bias": _removed, ...record } = await model.stateDict();
    const error = errorOf(() =>
      model.loadStateDict({
        ...record,
        "4.bias": tensor([1]),
        extra: tensor([2]),
        "4.parametrizations.weight.0._u": tensor([0]),
      }),
    );
    expect(error.code).toBe("SHAPE_MISMATCH");
    for (const key of ["0.bias", "4.bias", "extra", "4.parametrizations.weight.0._u"])
      expect(error.message).toContain(key);
    expect(model.predictSync(randn([1, 1, 6, 6], { seed: 4 })).held()).toEqual(before);
  });

  it("finds parameters in fields and in arrays of fields", () => {
    class Residual extends Module {
      readonly branches = [new Linear(2, 2), new Linear(2, 2, { bias: false })];
      readonly head = new Linear(2, 1);
      forward(x: Tensor): Tensor {
        return this.head.forward(this.branches.reduce((y, branch) => y.add(branch.forward(x)), x));
      }
    }
    expect(new Residual().namedParameters().map(([name]) => name)).toEqual([
      "branches.0.weight",
      "branches.0.bias",
      "branches.1.weight",
      "head.weight",
      "head.bias",
    ]);
  });

  it("prints a table of layers, shapes, parameters and bounds", () => {
    const table = network().summary();
    expect(table).toContain("[N, 4, 6, 6]");
    expect(table).toContain("SpectralLinear");
    expect(table.split("\n").at(-1)).toMatch(/Sequential\s+\[N, 3\]\s+360\s/);
  });

  it("is the same for the same manual seed", () => {
    const x = randn([1, 1, 6, 6], { seed: 5 });
    expect(network().predictSync(x).held()).toEqual(network().predictSync(x).held());
  });
});

describe("missing files", () => {
  it("are an error of code IO", async () => {
    await expect(loadSafetensors("/nonexistent/model.safetensors")).rejects.toMatchObject({ code: "IO" });
  });
});
