// Random numbers of compiled functions and native loops: others at each step, the same after manualSeed.
import {
  compile,
  evaluate,
  fromArrays,
  Linear,
  loop,
  Module,
  manualSeed,
  orthogonal,
  rand,
  randn,
  SpectralLinear,
  state,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";

const numbers = (t: Tensor): string => [...t.dataSync()].join();

describe("rand and randn in a compiled function", () => {
  it("give numbers of their own at every call and every place", async () => {
    const draw = compile(() => [rand([4]), rand([4]), randn([4])]);
    const drawn = [await draw(), draw.sync(), await draw()].flat().map(numbers);
    expect(new Set(drawn).size).toBe(9);
  });

  it("give the same ones again after manualSeed, others after another seed", async () => {
    const draw = compile(() => ({ u: rand([4]), n: randn([4]) }));
    const two = async (seed: number) => {
      manualSeed(seed);
      return [await draw(), await draw()].flatMap(({ u, n }) => [numbers(u), numbers(n)]);
    };
    const first = await two(3);
    expect(new Set([...first, ...(await two(4))]).size).toBe(8);
    expect(await two(3)).toEqual(first);
  });

  it("are of the distributions that they name", async () => {
    const { u, n } = await compile(() => ({ u: rand([10_000]), n: randn([10_000]) }))();
    const mean = (t: Tensor): number => t.mean().item();
    // Six standard errors.
    expect(Math.abs(mean(u) - 0.5)).toBeLessThan(6 / Math.sqrt(12 * 10_000));
    expect(Math.max(...u.dataSync())).toBeLessThan(1);
    expect(Math.abs(mean(n))).toBeLessThan(6 / 100);
    expect(Math.abs(mean(n.square()) - 1)).toBeLessThan((6 * Math.SQRT2) / 100);
  });

  it("are the same at every call with a seed, and those of that seed outside", async () => {
    const draw = compile(() => [rand([4], { seed: 7 }), randn([4], { seed: 7 })]);
    const outside = [rand([4], { seed: 7 }), randn([4], { seed: 7 })].map(numbers);
    expect((await draw()).map(numbers)).toEqual(outside);
    expect((await draw()).map(numbers)).toEqual(outside);
  });

  it("take nothing from the sequence of what is drawn outside", async () => {
    manualSeed(5);
    const alone = [rand([3]), randn([3])].map(numbers);
    manualSeed(5);
    const first = numbers(rand([3]));
    await compile(() => rand([3]))();
    expect([first, numbers(randn([3]))]).toEqual(alone);
  });

  it("belong to their step: kept for another, or as what a state starts from, they are refused", async () => {
    const kept: Tensor[] = [];
    await compile(() => {
      kept.push(rand([2]));
      return rand([2]);
    })();
    expect(await codeOf(async () => await compile(() => (kept[0] as Tensor).add(1))())).toBe("TRACE");
    expect(await codeOf(async () => (kept[0] as Tensor).data())).toBe("TRACE");
    const starting = compile(() => state(rand([2])).add(1));
    await expect(starting()).rejects.toThrow(/make it outside/);
  });
});

it("outside of compiled functions a tensor keeps the numbers that it was given", () => {
  manualSeed(0);
  const [u, n] = [rand([2]), randn([2])];
  expect(numbers(u)).toBe(numbers(u));
  expect(numbers(u)).toBe("0.803525447845459,0.8092436790466309");
  expect(n.dataSync()[0]).toBeCloseTo(0.13879876, 6);
  expect(n.dataSync()[1]).toBeCloseTo(-0.03148404, 6);
});

it("each step of a loop draws its own, and a loop after manualSeed the same as before", async () => {
  const run = async (): Promise<string> => {
    const all = state(zeros([6, 2]));
    // Rows move down by one with each step.
    await loop(() => all.assign(rand([1, 2]).concat(all.slice([0], [5]), 0)), { steps: 6 });
    return numbers(all);
  };
  manualSeed(1);
  const first = await run();
  expect(new Set(first.split(",")).size).toBe(12);
  expect(await run()).not.toBe(first);
  manualSeed(1);
  expect(await run()).toBe(first);
});

it("orthogonal() in a compiled function is refused, as it would be the same at every call, but with a seed", async () => {
  await expect(compile(() => orthogonal(3, 3))()).rejects.toThrow(/same matrix at every call.*\{ seed \}/);
  const seeded = await compile(() => orthogonal(3, 3, { seed: 2 }))();
  expect(numbers(seeded)).toBe(numbers(orthogonal(3, 3, { seed: 2 })));
});

it("predict draws at each call, evaluate the same at each: those of the next step", async () => {
  class Shifted extends Module {
    forward(x: Tensor): Tensor {
      return x.add(rand(x.shape));
    }
  }
  const model = new Shifted();
  const x = tensor([[1, 2]]);
  expect(numbers(await model.predict(x))).not.toBe(numbers(await model.predict(x)));
  const metrics = { mean: (outputs: Tensor) => outputs.mean() };
  const measure = async () => await evaluate(model, fromArrays(Float32Array.of(1, 2), [1, 2], [0]), { metrics });
  const { mean } = await measure();
  expect(await measure()).toEqual({ mean });
  expect((await model.predict(x)).mean().item()).toBeCloseTo(mean, 6);
  expect((await measure()).mean).not.toBe(mean);
});

it("a layer that is made by the first forward starts from initial values of its own", async () => {
  class Lazy extends Module {
    hidden: SpectralLinear | undefined;
    head: Linear | undefined;
    forward(x: Tensor): Tensor {
      this.hidden ??= new SpectralLinear(x.shape[1] ?? 0, 4);
      this.head ??= new Linear(4, 3);
      return this.head.forward(this.hidden.forward(x));
    }
  }
  const x = tensor([[1, 2]]);
  const lazy = new Lazy();
  expect(numbers(await lazy.predict(x))).toBe(numbers(await lazy.predict(x)));
  expect(numbers(await lazy.predict(x))).not.toBe(numbers(await new Lazy().predict(x)));
});
