// Which roundings of a certificate a device multiplies: its self-test is replaced by one that finds sigmoid and quotients bad.
import { certify, Flatten, Module, type Rounding, randn, Sequential, type Tensor, tensor } from "tslip";
import { afterEach, expect, it, vi } from "vitest";
import type { Ops } from "../../src/device.js";

const factors = vi.hoisted(() => ({ of: (_ops: Ops): number => 1 }));
vi.mock("../../src/device.js", async (original) => ({
  ...(await original<object>()),
  roundingFactors: async () => (ops: Ops) => factors.of(ops),
}));

afterEach(() => {
  factors.of = () => 1;
});

/** A function of each value with a slope of at most 1. */
class Elementwise extends Module {
  constructor(readonly apply: (x: Tensor) => Tensor) {
    super();
  }
  forward(x: Tensor): Tensor {
    return this.apply(x);
  }
  override lipschitzBound(): number {
    return 1;
  }
  override get lipschitzByConstruction(): boolean {
    return true;
  }
  override rounding(results: number): Rounding {
    return { roundings: 6, offset: Math.sqrt(results) };
  }
}

/** The radius with all roundings counted once, less that with those multiplied; bounds of a model are kept, as a device stays the same. */
async function lost(make: () => Module, x: Tensor, of: (ops: Ops) => number): Promise<number> {
  const [before] = await certify(make(), x);
  factors.of = of;
  const [after] = await certify(make(), x);
  return (before?.radius ?? Number.NaN) - (after?.radius ?? Number.NaN);
}

const ofSigmoid = (ops: Ops): number => (ops.some(({ op }) => op === "sigmoid") ? 1000 : 1);
const floats = randn([1, 4], { seed: 3 });

it("multiplies the roundings of a layer that calls a bad function, whatever it is called among", async () => {
  const model = () => new Sequential([new Elementwise((x) => x.mul(0.5).sigmoid().add(x.mul(0.25)))]);
  expect(await lost(model, floats, ofSigmoid)).toBeGreaterThan(1e-4);
});

it("leaves the roundings of other layers, also before and after such a layer", async () => {
  const seen: string[][] = [];
  const model = () =>
    new Sequential([new Elementwise((x) => x.abs()), new Elementwise((x) => x.sigmoid()), new Flatten()]);
  await lost(model, floats, (ops) => {
    seen.push(ops.map(({ op }) => op));
    return ofSigmoid(ops);
  });
  expect(seen.filter((ops) => ops.includes("abs"))).toEqual([["abs"]]);
  expect(seen.filter((ops) => ops.includes("sigmoid"))).toEqual([["sigmoid"]]);
});

it("multiplies the rounding of bytes divided by 255, but not that of floats", async () => {
  const exact = () => new Sequential([new Flatten()]);
  const bytes = tensor(Uint8Array.from([200, 30, 90, 255]), [1, 4]);
  expect(await lost(exact, bytes, () => 1000)).toBeGreaterThan(1e-5);
  expect(await lost(exact, floats, () => 1000)).toBe(0);
});
