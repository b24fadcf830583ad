// loop: a step again and again in one native call.
import { assign, loop, scalar, state, type Tensor, tensor, zeros } from "tslip";
import { expect, it } from "vitest";
import { Program } from "../../src/tensor/index.js";
import { repeat } from "../../src/train/loop.js";
import { codeOf } from "../train/subset.js";

it("runs a step so many times, and gives what the last one returned", async () => {
  const x = state(scalar(1));
  const { steps, values } = await loop(
    () => {
      const next = x.mul(2);
      assign(x, next);
      return { next, pair: [x, next] };
    },
    { steps: 10 },
  );
  expect(steps).toBe(10);
  expect(values.next.item()).toBe(1024);
  expect(x.item()).toBe(1024);
});

it("ends after the step that makes `until` true, however seldom that is looked at", async () => {
  for (const checkEvery of [1, 3, 20]) {
    const count = state(scalar(0));
    const done = state(zeros([], { dtype: "bool" }));
    const step = (): Record<string, Tensor> => {
      const next = count.add(1);
      assign(count, next);
      assign(done, done.or(next.greaterEqual(5)));
      return {};
    };
    const { steps } = await loop(step, { steps: 20, until: done, checkEvery });
    expect([steps, count.item()]).toEqual([5, 5]);
  }
});

it("sets the states of tables before each step", async () => {
  const [rate, total] = [state(scalar(0)), state(scalar(0))];
  const step = (): Record<string, Tensor> => {
    assign(total, total.mul(10).add(rate));
    return {};
  };
  await loop(step, { steps: 4, tables: [{ state: rate, values: [1, 2, 3, 4] }] });
  expect(total.item()).toBe(1234);
  expect(await codeOf(() => loop(step, { steps: 4, tables: [{ state: rate, values: [1] }] }))).toBe("INVALID_ARGUMENT");
});

it("runs parts one after another, each as often as it says, with tables that go on from one to the next", async () => {
  const [rate, total] = [state(scalar(0)), state(scalar(0))];
  const part = (sign: number, steps: number) => {
    const step = () => {
      assign(total, total.mul(10).add(rate.mul(sign)));
      return { total };
    };
    return { program: Program.record(step, []), steps };
  };
  const [rising, falling] = [part(1, 2), part(-1, 1)];
  const values = [1, 2, 3, 4, 5, 6];
  const result = await repeat([rising, falling, rising, falling], { steps: 6, tables: [{ state: rate, values }] });
  expect([result.steps, result.values.total.item(), total.item()]).toEqual([6, 117_444, 117_444]);
});

it("can be aborted within a step, tells of its progress, and ends with what a listener throws", async () => {
  const x = state(tensor(new Float32Array(20_000)));
  const step = (): Record<string, Tensor> => {
    assign(x, x.add(1));
    return {};
  };
  const told: number[] = [];
  const controller = new AbortController();
  const running = loop(step, {
    steps: 1_000_000,
    signal: controller.signal,
    onProgress: (done) => {
      told.push(done);
      if (told.length === 3) controller.abort(new Error("enough"));
    },
  });
  await expect(running).rejects.toThrow("enough");
  const values = x.dataSync();
  expect(values.every((value) => value === values[0])).toBe(true);
  expect(values[0]).toBeGreaterThanOrEqual(told.at(-1) ?? Number.NaN);
  const refused = loop(step, {
    steps: 1_000_000,
    onProgress: () => {
      throw new Error("no");
    },
  });
  await expect(refused).rejects.toThrow("no");
});

it("ends with the reason of a promise that onProgress gives and that rejects", async () => {
  const x = state(zeros([300, 300]));
  const rejecting = async (): Promise<void> => {
    throw new Error("no more");
  };
  await expect(loop(() => assign(x, x.matmul(x)), { steps: 1e6, onProgress: rejecting })).rejects.toThrow("no more");
});

it("refuses what is no step, and numbers of steps that are none", async () => {
  expect(await codeOf(() => loop(3 as unknown as () => Tensor, { steps: 1 }))).toBe("INVALID_ARGUMENT");
  for (const steps of [0, -1, 1.5, Number.NaN]) {
    expect(await codeOf(() => loop(() => scalar(1), { steps }))).toBe("INVALID_ARGUMENT");
  }
  expect(await codeOf(() => loop(() => scalar(1), { steps: 1, checkEvery: 0 }))).toBe("INVALID_ARGUMENT");
});
