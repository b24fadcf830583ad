// Parts of a layer that were exchanged for others, of which its bound says nothing.
import {
  Container,
  CPLLinear,
  certify,
  Flatten,
  type Flow,
  Linear,
  LipResidual,
  Module,
  onDevice,
  Parameter,
  type Rounding,
  ScaledL2NormPool2d,
  Sequential,
  SpectralLinear,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { describeGpu } from "../gpu/gpu.js";
import { codeOf } from "../train/subset.js";
import { Claiming, silenceWarnings } from "./custom.js";

silenceWarnings();

const image = tensor([1, 0.5], [1, 2]);

/** A chain that exports itself, so that its layers are certified as they are. */
class Live extends Container {
  readonly layers: readonly Module[];
  constructor(...layers: Module[]) {
    super();
    this.layers = layers;
  }
  flow<V>(x: V, flow: Flow<V>): V {
    return this.layers.reduce((value, layer, i) => flow.through(layer, value, String(i)), x);
  }
  vanillaExport(): this {
    return this;
  }
}

function identity(): Linear {
  const layer = new Linear(2, 2, { bias: false });
  layer.weight.assign(tensor([1, 0, 0, 1], [2, 2]));
  return layer;
}

it.each([[[2]], [[1]], [[1, 2, 1, 1]]])(
  "a LipResidual takes no shares of shape %j, of which the first would be counted",
  async (shape) => {
    const alpha = tensor(new Float32Array(shape.reduce((a, b) => a * b)).fill(-50).fill(5, 0, 1), shape);
    expect(await codeOf(() => new LipResidual(identity(), {}, { alpha }))).toBe("SHAPE_MISMATCH");
    const residual = new LipResidual(identity());
    Object.assign(residual, { alpha: new Parameter(alpha) });
    expect(await codeOf(() => certify(residual, image))).toBe("SHAPE_MISMATCH");
    expect(await codeOf(() => residual.predict(image))).toBe("SHAPE_MISMATCH");
  },
);

it.each([
  ["that the layer was made without", false, { bias: new Parameter(tensor([0, 50])) }],
  ["that is taken off, for which an export would have a new one", true, { bias: undefined }],
])("a bias %s is refused by all that read it", async (_, bias, fields) => {
  for (const layer of [new Linear(2, 2, { bias }), new SpectralLinear(2, 2, { bias }), new CPLLinear(2, 2, { bias })]) {
    Object.assign(layer, fields);
    const model = new Sequential([layer], { constrained: false });
    for (const call of [() => layer.vanillaExport(), () => certify(model, image), () => model.predict(image)]) {
      expect(await codeOf(async () => await call())).toBe("SHAPE_MISMATCH");
    }
  }
});

it("a longer bias, which would repeat the results that it is added to, is refused", async () => {
  const [narrow, wide] = [new Linear(2, 1), new Linear(16, 2, { bias: false })];
  Object.assign(narrow, { bias: new Parameter(tensor(new Float32Array(16), [16])) });
  expect(await codeOf(() => certify(new Live(narrow, wide), image))).toBe("SHAPE_MISMATCH");
  expect(await codeOf(() => narrow.predict(image))).toBe("SHAPE_MISMATCH");
});

it("a pool strides as its bound counts, whatever a subclass answers", async () => {
  class Strided extends ScaledL2NormPool2d {
    override get stride(): readonly [number, number] {
      return [1, 1];
    }
  }
  const pool = new Strided({ kernelSize: 4 });
  const logits = await new Live(pool, new Flatten()).predict(tensor(new Float32Array(64), [1, 1, 8, 8]));
  expect(logits.shape).toEqual([1, 4]);
});

describe("refused is", () => {
  it("a layer whose map was exchanged", async () => {
    const layer = identity();
    const { map } = layer;
    const scaled = Object.create(map, {
      apply: { value: (...given: Parameters<typeof map.apply>) => map.apply(...given).mul(100) },
    });
    Object.defineProperty(layer, "map", { value: scaled });
    expect(await codeOf(() => certify(new Live(layer), image))).toBe("NOT_LIPSCHITZ");
  });

  it("a module with a flow that its forward does not follow", async () => {
    class Pretender extends Module {
      readonly composed = true;
      readonly inner = identity();
      flow<V>(x: V, flow: Flow<V>): V {
        return flow.through(this.inner, x, "inner");
      }
      forward(x: Tensor): Tensor {
        return this.inner.forward(x).neg();
      }
    }
    expect(await codeOf(() => certify(new Pretender(), image))).toBe("NOT_LIPSCHITZ");
  });

  it("a promise about rounding that is misspelt, which would count as none", async () => {
    class Misspelt extends Claiming {
      override rounding(): Rounding {
        const promised = { roundings: 4, offset: 0, peek: 1e30 };
        return promised;
      }
    }
    const layer = new Misspelt((x) => x.mul(1e30).mul(1e-30));
    const refused = certify(layer, image);
    await expect(refused).rejects.toThrow(/peek/);
    expect(await codeOf(() => refused)).toBe("INVALID_ARGUMENT");
  });

  it("a sum of nothing", async () => {
    class Nothing extends Container {
      flow<V>(_x: V, flow: Flow<V>): V {
        return flow.sum([]);
      }
      vanillaExport(): this {
        return this;
      }
    }
    expect(await codeOf(() => certify(new Nothing(), image))).toBe("INVALID_ARGUMENT");
  });
});

describeGpu("a pool on a GPU", () => {
  it("is finite as far as its promise reaches: norms up to 2^126", async () => {
    const head = new Linear(1, 2);
    head.weight.assign(tensor([1e-36, 1e-37], [2, 1]));
    head.bias?.assign(tensor([0, 1000], [2]));
    const model = new Sequential([new ScaledL2NormPool2d({ kernelSize: 2 }), new Flatten(), head], {
      constrained: false,
    });
    await onDevice("gpu", async () => {
      const [certificate] = await certify(model, tensor([1e10, 0, 0, 0], [1, 1, 2, 2]));
      for (const value of [4.2e37, 4.3e37, 8.3e37]) {
        expect(certificate?.radius).toBeGreaterThan(value);
        expect(Array.from(await model.classify(tensor([value, 0, 0, 0], [1, 1, 2, 2])))).toEqual([
          certificate?.predicted,
        ]);
      }
    });
  });
});
