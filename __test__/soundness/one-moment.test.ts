// All that a certificate is made of belongs to one moment: bound, roundings and logits, whatever is written meanwhile.
import { assign, Container, certify, type Flow, Linear, loop, Module, type Rounding, type Tensor, tensor } from "tslip";
import { expect, it } from "vitest";
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
