// States, inputs and memory of a GPU from call to call.
import { expect, it } from "vitest";
import {
  Adam,
  CrossEntropyLoss,
  compile,
  fit,
  onDevice,
  scalar,
  state,
  type Tensor,
  tensor,
  zeros,
} from "../../src/index.js";
import { engine } from "../../src/native.js";
import { planOf } from "../../src/tensor/evaluate.js";
import { graphOf } from "../../src/tensor/graph.js";
import { describeGpu } from "./gpu.js";
import { images, network } from "./network.js";

describeGpu("states of a GPU", () => {
  it.each([[[2]], [[3, 4]], [[1, 1, 5]]])(
    "of shape %j take the old value of a scalar that changes with them",
    async (shape) => {
      await onDevice("gpu", async () => {
        const [factor, offset, wide] = [state(scalar(1)), state(scalar(10)), state(zeros(shape))];
        const step = compile((x: Tensor) => {
          const old = factor.mul(3).add(offset).add(x);
          factor.assign(factor.add(1));
          offset.assign(offset.mul(2));
          wide.assign(old.broadcastTo(shape));
        });
        await step(scalar(0));
        expect(new Set(wide.dataSync())).toEqual(new Set([13]));
        expect([factor.dataSync()[0], offset.dataSync()[0]]).toEqual([2, 20]);
      });
    },
  );

  it("change on whichever device runs, one after another", async () => {
    const weight = state(tensor([1, 2, 3], [3]));
    const step = compile(() => {
      weight.assign(weight.mul(2));
      return weight.sum();
    });
    const sums: (number | undefined)[] = [];
    for (const device of ["gpu", "cpu", "gpu", "gpu", "cpu"] as const) {
      sums.push((await onDevice(device, () => step())).dataSync()[0]);
    }
    expect(sums).toEqual([12, 24, 48, 96, 192]);
    weight.assign(tensor([1, 1, 1], [3]));
    expect((await onDevice("gpu", () => step())).dataSync()[0]).toBe(6);
  });

  it("that steps do not touch follow their table all the same", async () => {
    for (const device of ["cpu", "gpu"] as const) {
      await onDevice(device, async () => {
        const [untouched, own] = [state(scalar(0)), state(scalar(1))];
        const plan = planOf(graphOf([own.mul(2)], { assigns: new Map([[own, own.add(1)]]) }));
        const tables = [{ state: untouched.id, values: new Float32Array([1, 2, 3]) }];
        const { scalars } = await engine().run({ stretches: [{ plan, steps: 3, inputs: [] }], tables });
        expect([Array.from(scalars), own.dataSync()[0], untouched.dataSync()[0]]).toEqual([[2, 4, 6], 4, 3]);
      });
    }
  });

  it("that end no job, as its steps do not touch them, are refused", async () => {
    const [untouched, own] = [state(tensor([0], [], { dtype: "bool" })), state(scalar(1))];
    const plan = onDevice("gpu", () => planOf(graphOf([own.mul(2)], { assigns: new Map([[own, own.add(1)]]) })));
    const until = { state: untouched.id, checkEvery: 1 };
    const run = async () => await engine().run({ stretches: [{ plan, steps: 3, inputs: [] }], tables: [], until });
    await expect(run()).rejects.toThrow(/cannot end the job: its steps do not touch it/);
  });

  it("that a table sets are those of the step that ended the job", async () => {
    const [stop, own] = [state(tensor([0], [], { dtype: "bool" })), state(scalar(1))];
    const plan = onDevice("gpu", () => planOf(graphOf([own.mul(2)], { assigns: new Map([[stop, own.greater(5)]]) })));
    const until = { state: stop.id, checkEvery: 7 };
    const tables = [{ state: own.id, values: new Float32Array([2, 4, 6, 8, 10]) }];
    const { steps, scalars } = await engine().run({ stretches: [{ plan, steps: 5, inputs: [] }], tables, until });
    expect([steps, Array.from(scalars), own.dataSync()[0]]).toEqual([3, [4, 8, 12], 6]);
  });

  it("and inputs of earlier calls make room for those of later ones", { timeout: 60_000 }, async () => {
    const sum = compile((x: Tensor) => x.sum());
    const kept = state(tensor([1, 2, 3], [3]));
    const double = compile(() => kept.assign(kept.mul(2)));
    await onDevice("gpu", async () => {
      await double();
      // Together some 300 MiB, and as many plans; software adapters allow 128 MiB in one array.
      for (let call = 0; call < 40; call++) {
        const length = 2_000_000 + call;
        expect((await sum(tensor(new Float32Array(length).fill(1), [length]))).item()).toBe(length);
      }
      await double();
    });
    expect(Array.from(kept.dataSync())).toEqual([4, 8, 12]);
  });

  it("are trained as ever while calls beside it take the room of its data set and inputs", {
    timeout: 60_000,
  }, async () => {
    const sum = compile((x: Tensor) => x.sum());
    const trained = async (beside: () => Promise<void>): Promise<number[][]> => {
      const model = network();
      let training = true;
      const running = fit(model, images(96), {
        epochs: 3,
        batchSize: 16,
        verbose: false,
        device: "gpu",
        loss: new CrossEntropyLoss(),
        optimizer: new Adam({ lr: 1e-3 }),
      }).finally(() => {
        training = false;
      });
      while (training) await beside();
      await running;
      return model.parameters().map((parameter) => Array.from(parameter.dataSync()));
    };
    const alone = await trained(() => new Promise(setImmediate));
    let calls = 0;
    const crowded = await trained(async () => {
      const length = 8_000_000 + calls++;
      await onDevice("gpu", () => sum(tensor(new Float32Array(length), [length])));
    });
    expect(calls).toBeGreaterThan(4);
    expect(crowded).toEqual(alone);
  });
});
