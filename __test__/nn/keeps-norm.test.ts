// Of which layers a certificate takes the norm of what comes out from what goes in.
import {
  Flatten,
  FullSort,
  GroupSort,
  GroupSort2,
  Identity,
  InvertibleDownSampling,
  InvertibleUpSampling,
  MaxMin,
  type Module,
  ReLU,
  randn,
  Sequential,
  type Tensor,
  Unflatten,
} from "tslip";
import { describe, expect, it } from "vitest";
import { keepsNorm } from "../../src/nn/keeps-norm.js";

const keeping: [string, (options: { kCoefLip?: number }) => Module][] = [
  ["Identity", () => new Identity()],
  ["Flatten", () => new Flatten()],
  ["Unflatten", () => new Unflatten(1, [2, 2])],
  ["GroupSort", (options) => new GroupSort(4, options)],
  ["GroupSort2", (options) => new GroupSort2(options)],
  ["FullSort", (options) => new FullSort(options)],
  ["MaxMin", (options) => new MaxMin(options)],
  ["InvertibleDownSampling", (options) => new InvertibleDownSampling({ kernelSize: 2, ...options })],
  ["InvertibleUpSampling", (options) => new InvertibleUpSampling({ kernelSize: 2, ...options })],
];

describe.each(keeping)("%s", (_, build) => {
  it("says that it keeps norms, and gives the very numbers and zeros", () => {
    const layer = build({});
    expect(keepsNorm(layer)).toBe(true);
    const x = randn([1, 4, 2, 2], { seed: 1 });
    const sizes = (y: Tensor): number[] => [...y.dataSync()].map(Math.abs).filter(Boolean).sort();
    expect(sizes(layer.forward(x))).toEqual(sizes(x));
  });

  it("does not where another class has replaced what it computes, or the object has", () => {
    const replaced = build({});
    Object.setPrototypeOf(replaced, {
      __proto__: Object.getPrototypeOf(replaced),
      forward: (x: Tensor) => x.mul(2),
    });
    expect(keepsNorm(replaced)).toBe(false);
    expect(keepsNorm(Object.assign(build({}), { forward: (x: Tensor) => x.mul(2) }))).toBe(false);
  });
});

it.each(keeping.slice(3))("%s does not with a constant other than 1, given or shared", (_, build) => {
  expect(keepsNorm(build({ kCoefLip: 2 }))).toBe(false);
  const layer = build({});
  new Sequential([layer], { kCoefLip: 0.5 });
  expect(keepsNorm(layer)).toBe(false);
});

it("layers that drop numbers, and subclasses with a forward of their own, say nothing", () => {
  class Doubled extends Identity {
    override forward(x: Tensor): Tensor {
      return super.forward(x).mul(2);
    }
  }
  expect(keepsNorm(new Doubled())).toBe(false);
  expect(keepsNorm(new ReLU())).toBe(false);
});
