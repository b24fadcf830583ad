// All that a certificate is made of belongs to one moment: bound, roundings and logits, whatever is written meanwhile.
import {
  assign,
  Container,
  certify,
  type Flow,
  GroupSort2,
  Linear,
  loop,
  Module,
  onDevice,
  Parameter,
  type Rounding,
  randn,
  Sequential,
  SpectralLinear,
  type State,
  state,
  type Tensor,
  TslipError,
  tensor,
} from "tslip";
import { expect, it } from "vitest";
import { loseGpu } from "../../src/native.js";
import { scalar, Value } from "../../src/tensor/index.js";
import { describeGpu } from "../gpu/gpu.js";
import { codeOf } from "../train/subset.js";
import { silenceWarnings } from "./custom.js";

silenceWarnings();

const A = tensor([1, 0, 0, 1], [2, 2]);
const B = tensor([-1000, 0, 0, 1000], [2, 2]);
const image = tensor([1, 0.9], [1, 2]);

/** A class of its own, which exports itself and is asked for its bound: its weights stay live. */
class Asked extends Module {
  readonly inner = new Linear(2, 2, { bias: false });
  forward(x: Tensor): Tensor {
    return this.inner.forward(x);
  }
  override lipschitzBound(): number {
    return this.inner.lipschitzBound();
  }
  override rounding(results: number): Rounding {
    return this.inner.rounding(results);
  }
}

/** A container that exports itself; what it consists of is proved from values. */
class Live extends Container {
  readonly inner = new Linear(2, 2, { bias: false });
  flow<V>(x: V, flow: Flow<V>): V {
    return flow.through(this.inner, x, "inner");
  }
  vanillaExport(): this {
    return this;
  }
}

it("weights that change and change back while a class is asked are refused, however soon they do", async () => {
  const model = new Asked();
  for (let ticks = 0; ticks < 30; ticks++) {
    model.inner.weight.assign(A);
    const pending = certify(model, image);
    model.inner.weight.assign(B);
    for (let i = 0; i < ticks; i++) await null;
    model.inner.weight.assign(A);
    expect(await codeOf(() => pending)).toBe("INVALID_ARGUMENT");
  }
});

it("weights that change and change back while proofs are read leave a certificate of the moment of the call", async () => {
  const model = new Live();
  model.inner.weight.assign(A);
  const [quiet] = await certify(model, image);
  for (let ticks = 0; ticks < 30; ticks++) {
    model.inner.weight.assign(A);
    const pending = certify(model, image);
    model.inner.weight.assign(B);
    for (let i = 0; i < ticks; i++) await null;
    model.inner.weight.assign(A);
    expect(await pending).toEqual([quiet]);
  }
});

/** Exports its layers one by one, and lists none of them: they stand in a private field. */
class Unlisted extends Container {
  readonly #layers: readonly Linear[];
  constructor(...layers: Linear[]) {
    super();
    this.#layers = layers;
  }
  flow<V>(x: V, flow: Flow<V>): V {
    return this.#layers.reduce((value, layer, i) => flow.through(layer, value, String(i)), x);
  }
  vanillaExport(): Unlisted {
    return new Unlisted(...this.#layers.map((layer) => layer.vanillaExport() as Linear));
  }
}

it("layers that no module lists are exported from one step of a loop that goes on", async () => {
  const [a, b] = [new Linear(2, 2, { bias: false }), new Linear(2, 2, { bias: false })];
  for (const { weight } of [a, b]) weight.assign(A);
  // The product of both stays the identity.
  const step = (): void => {
    const far = a.weight.max().greater(1e4);
    assign(a.weight, far.where(a.weight.mul(2 ** -14), a.weight.mul(2)));
    assign(b.weight, far.where(b.weight.mul(2 ** 14), b.weight.mul(0.5)));
  };
  const stop = new AbortController();
  const job = loop(step, { steps: 10_000_000, signal: stop.signal });
  const model = new Unlisted(a, b);
  for (let i = 0; i < 30; i++) {
    expect((await certify(model, image))[0]?.lipschitz).toBeCloseTo(1, 6);
    await new Promise((resolve) => setImmediate(resolve));
  }
  stop.abort(new Error("enough"));
  await expect(job).rejects.toThrow("enough");
});

/** Keeps b a = 1 at every moment, for as long as `body` takes. */
async function whileTraining(a: Linear, b: Linear, body: () => Promise<void>): Promise<void> {
  for (const { weight } of [a, b]) weight.assign(A);
  const flip = (): void => {
    const big = a.weight.sum().greater(3);
    assign(a.weight, a.weight.mul(big.where(0.5, 2)));
    assign(b.weight, b.weight.mul(big.where(2, 0.5)));
  };
  const stop = new AbortController();
  const job = loop(flip, { steps: 10_000_000, signal: stop.signal });
  try {
    await body();
  } finally {
    stop.abort(new Error("enough"));
    await expect(job).rejects.toThrow("enough");
  }
}

it("an export of an export is of one step", async () => {
  class Twice extends Sequential {
    override vanillaExport(): Sequential {
      return super.vanillaExport().vanillaExport();
    }
  }
  const [a, b] = [new Linear(2, 2, { bias: false }), new Linear(2, 2, { bias: false })];
  const model = new Twice([a, b], { constrained: false });
  await whileTraining(a, b, async () => {
    for (let i = 0; i < 30; i++) expect((await certify(model, tensor([1, 0], [1, 2])))[0]?.margin).toBe(1);
  });
});

it("what is read of states that start from states that are trained is of one step", async () => {
  const [a, b] = [new Linear(2, 2, { bias: false }), new Linear(2, 2, { bias: false })];
  const copied = ({ weight }: Linear): Linear =>
    new Linear(2, 2, { bias: false }, { weight: weight.mul(1), bias: undefined });
  const copy = (): Sequential => new Sequential([a, b].map(copied), { constrained: false });
  const x = tensor([1, 0], [1, 2]);
  await whileTraining(a, b, async () => {
    for (let i = 0; i < 20; i++) {
      expect((await copy().predict(x)).held()[0]).toBe(1);
      const state = await copy().stateDict();
      expect((state["0.weight"]?.held()[0] ?? 0) * (state["1.weight"]?.held()[0] ?? 0)).toBe(1);
      const exported = new Sequential([copy().vanillaExport()], { constrained: false }).vanillaExport();
      expect((await exported.predict(x)).held()[0]).toBe(1);
    }
  });
});

it("a model of which one layer exports a copy and another itself is refused while both are trained", async () => {
  class Own extends Linear {
    override vanillaExport(): this {
      return this;
    }
  }
  const [a, b] = [new Linear(2, 2, { bias: false }), new Own(2, 2, { bias: false })];
  const model = new Sequential([a, b], { constrained: false });
  await whileTraining(a, b, async () => {
    for (let i = 0; i < 30; i++) {
      const outcome = await certify(model, tensor([1, 0], [1, 2])).catch((error: TslipError) => error.code);
      if (typeof outcome === "string") expect(outcome).toBe("INVALID_ARGUMENT");
      else expect(outcome[0]?.margin).toBe(1);
    }
  });
  expect((await certify(model, tensor([1, 0], [1, 2])))[0]?.margin).toBe(1);
});

it("what an export keeps for its bound is of the moment of its weights", async () => {
  class Frozen extends Module {
    readonly weight: Parameter;
    readonly size: State;
    constructor(weight: Tensor, size: Tensor) {
      super();
      this.weight = new Parameter(weight);
      this.size = state(size);
    }
    forward(x: Tensor): Tensor {
      return x.mul(this.weight);
    }
    override lipschitzBound(): number {
      return this.size.item();
    }
    override rounding(): Rounding {
      return { roundings: 1, offset: 0 };
    }
  }
  class Scale extends Module {
    readonly weight = new Parameter(scalar(1000));
    forward(x: Tensor): Tensor {
      return x.mul(this.weight);
    }
    override vanillaExport(): Module {
      return new Frozen(this.weight.mul(1), this.weight.abs());
    }
  }
  const model = new Scale();
  const stop = new AbortController();
  const job = loop(() => assign(model.weight, model.weight.mul(0.9999)), { steps: 10_000_000, signal: stop.signal });
  for (let i = 0; i < 5; i++) {
    const [certificate] = await certify(model, tensor([1, 0], [1, 2]));
    expect((certificate?.margin ?? 0) / (certificate?.lipschitz ?? 0)).toBeCloseTo(1, 6);
  }
  stop.abort(new Error("enough"));
  await expect(job).rejects.toThrow("enough");
});

it("weights that a flow sets for the time of the pass are those of the bound, in each of its places", async () => {
  class Averaged extends Container {
    readonly inner = new Linear(2, 2, { bias: false });
    readonly weights = [1000, 100].map((size) => new Parameter(A.mul(size)));
    flow<V>(x: V, flow: Flow<V>): V {
      const own = this.inner.weight;
      const through = (value: V, weight: Parameter): V => {
        Object.assign(this.inner, { weight });
        return flow.through(this.inner, value, "inner");
      };
      try {
        return this.weights.reduce(through, x);
      } finally {
        Object.assign(this.inner, { weight: own });
      }
    }
    vanillaExport(): this {
      return this;
    }
  }
  const model = new Averaged();
  model.inner.weight.assign(A.mul(1e-3));
  const [certificate] = await certify(model, image);
  expect(certificate?.lipschitz).toBeGreaterThanOrEqual(1e5);
  expect(certificate?.lipschitz).toBe(await model.lipschitzBound());
});

/** As many as the engine gives a GPU. */
const STEPS_AHEAD = 3;

/** A weight that starts from a state of a GPU, which is lost behind another job while the weight is asked for. */
async function lost() {
  const base = state(tensor([100, 0, 0, 100], [2, 2]));
  await loop(() => assign(base, base.mul(1)), { steps: 1 });
  const model = new Live();
  Object.assign(model.inner, { weight: new Parameter(base.mul(1)) });
  // The GPU is given a few steps ahead, each of which takes far longer than to make the calls. Once it has those the weight, too, waits for
  // one of them to end, so that it is still to be computed when the GPU is lost.
  const side = state(randn([640, 640], { seed: 1 }));
  const step = (): void => assign(side, side.matmul(side).mul(1e-6));
  let busy: Promise<unknown> = Promise.resolve();
  await new Promise<void>((full) => {
    busy = loop(step, { steps: 100, onProgress: (steps) => steps > STEPS_AHEAD && full() }).catch(() => full());
  });
  const calls = [certify(model, image), certify(model, image), model.predict(image)];
  loseGpu(0);
  const outcomes = await Promise.allSettled(calls);
  await busy;
  return { base, model, outcomes };
}

describeGpu("a first value that a lost GPU was to compute", () => {
  it("is no zero to those who read the state meanwhile", async () => {
    await onDevice("gpu", async () => {
      const { outcomes } = await lost();
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(TslipError);
        else if (outcome.value instanceof Value) expect(Array.from(outcome.value.held())).toEqual([100, 90]);
        else expect(outcome.value[0]?.lipschitz).toBeCloseTo(100, 6);
      }
    });
  });

  it("is computed again once that can be done, for those too who asked before", async () => {
    await onDevice("gpu", async () => {
      const { base, model } = await lost();
      base.assign(tensor([100, 0, 0, 100], [2, 2]));
      expect(Array.from((await model.predict(image)).held())).toEqual([100, 90]);
      expect((await certify(model, image))[0]?.lipschitz).toBeCloseTo(100, 6);
    });
  });

  it("is the same for the first certificate and for later ones", async () => {
    await onDevice("gpu", async () => {
      const model = new Sequential([new SpectralLinear(2, 8), new GroupSort2(), new SpectralLinear(8, 3)]);
      const [first, second] = [await certify(model, image), await certify(model, image)];
      expect(second).toEqual(first);
      expect(await certify(model.vanillaExport(), image)).toEqual(first);
    });
  });
});
