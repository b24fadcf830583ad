// Calls of predict and classify that come at once share batches: nobody can tell but by the time.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  arange,
  assign,
  compile,
  Flatten,
  full,
  GroupSort2,
  Linear,
  Module,
  manualSeed,
  ones,
  randn,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it, vi } from "vitest";
import { Engine } from "../../src/native.js";
import { codeOf } from "../train/subset.js";

function network(): Module {
  manualSeed(4);
  return new Sequential([
    new SpectralConv2d(1, 6, { kernelSize: 3, padding: "same" }),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new Flatten(),
    new SpectralLinear(6 * 16, 5),
  ]).vanillaExport();
}

const images = (count: number): Tensor[] =>
  Array.from({ length: count }, (_, i) => tensor(randn([64], { seed: i + 1 }).dataSync(), [1, 1, 8, 8]));
const alone = (model: Module, all: readonly Tensor[]) => all.map((x) => Array.from(model.predictSync(x).data()));

/** A model of one layer that multiplies by a field. */
class Times extends Module {
  by = 2;
  forward(x: Tensor): Tensor {
    return x.mul(this.by);
  }
}

describe("many calls at once", () => {
  it.each([2, 3, 37, 200])("give each of %i its own logits, bit for bit", async (count) => {
    const model = network();
    const all = images(count);
    const expected = alone(model, all);
    const logits = await Promise.all(all.map((x) => model.predict(x)));
    expect(logits.map((one) => Array.from(one.held()))).toEqual(expected);
    expect(logits.map(({ shape }) => shape)).toEqual(all.map(() => [1, 5]));
    const classes = await Promise.all(all.map((x) => model.classify(x)));
    expect(classes.map((one) => one[0])).toEqual(expected.map((row) => row.indexOf(Math.max(...row))));
  });

  it("are few jobs", async () => {
    const model = network();
    const all = images(64);
    await Promise.all(all.map((x) => model.predict(x)));
    const run = vi.spyOn(Engine.prototype, "run");
    await Promise.all(all.map((x) => model.predict(x)));
    // The first by itself, 63 in batches of 32, 16, 8, 4, 2 and 1.
    expect(run.mock.calls.length).toBe(7);
    run.mockRestore();
  });

  it("may be of different numbers of samples, and of too many for a batch", async () => {
    const model = network();
    const all = [1, 3, 1, 100, 3, 16, 1, 16, 17].map((n, i) => randn([n, 1, 8, 8], { seed: i }));
    const logits = await Promise.all(all.map((x) => model.predict(x)));
    expect(logits.map((one) => Array.from(one.held()))).toEqual(alone(model, all));
  });

  it("of whose model the ops mix samples, or depend on how many there are, are run one by one", async () => {
    class Mixing extends Module {
      forward(x: Tensor): Tensor {
        return x.sub(x.mean(0, { keepdims: true }));
      }
    }
    class Counting extends Module {
      forward(x: Tensor): Tensor {
        return x.mul(x.shape[0] ?? 0);
      }
    }
    for (const model of [new Mixing(), new Counting()]) {
      const all = Array.from({ length: 20 }, (_, i) => randn([2, 3], { seed: i }));
      const logits = await Promise.all(all.map((x) => model.predict(x)));
      expect(logits.map((one) => Array.from(one.held()))).toEqual(alone(model, all));
    }
  });

  it("of whose model the ops use up how many samples there are are run one by one", async () => {
    const uses: ((x: Tensor) => Tensor)[] = [
      (x) => x.mul(full([x.shape[0] ?? 0], 1).sum()),
      (x) =>
        x.mul(
          ones([1])
            .broadcastTo([x.shape[0] ?? 0])
            .sum(),
        ),
      (x) =>
        x.mul(
          zeros([x.shape[0] ?? 0, 1])
            .add(1)
            .sum(),
        ),
      (x) =>
        x.mul(
          arange(64)
            .cast("f32")
            .slice([0], [x.shape[0] ?? 0])
            .max(),
        ),
    ];
    for (const use of uses) {
      class Using extends Module {
        forward(x: Tensor): Tensor {
          return use(x);
        }
      }
      const model = new Using();
      const all = Array.from({ length: 9 }, (_, i) => tensor([[i + 1, 2]]));
      const logits = await Promise.all(all.map((x) => model.predict(x)));
      expect(logits.map((one) => Array.from(one.held()))).toEqual(alone(model, all));
    }
  });

  it("of a model that takes no larger batch are run one by one, and nobody else notices", async () => {
    class Single extends Module {
      readonly layer = new Linear(4, 3);
      forward(x: Tensor): Tensor {
        return this.layer.forward(x.reshape([1, 4]));
      }
    }
    const [single, other] = [new Single(), new Linear(4, 3)];
    const x = tensor([[1, 2, 3, 4]]);
    const expected = [single, other].map((model) => Array.from(model.predictSync(x).held()));
    const calls = [single, other, single, other, single, other].map((model) => model.predict(x));
    // Takes a job of its own meanwhile.
    expect(Array.from(other.predictSync(x).held())).toEqual(expected[1]);
    const results = (await Promise.all(calls)).map((one) => Array.from(one.held()));
    expect(results).toEqual([0, 1, 0, 1, 0, 1].map((i) => expected[i]));
  });

  it("wait for nobody who is recording another function", async () => {
    const [layer, teacher] = [new Linear(3, 2), new Linear(3, 2)];
    const x = tensor([[1, 2, 3]]);
    teacher.predictSync(x);
    const expected = Array.from(layer.predictSync(x).held());
    const calls = Array.from({ length: 6 }, () => layer.predict(x));
    await compile((y: Tensor) => y.add(teacher.predictSync(x)))(tensor([[1, 1]]));
    for (const one of await Promise.all(calls)) expect(Array.from(one.held())).toEqual(expected);
  });

  it("keep their place before what is assigned after them", async () => {
    const layer = new Linear(2, 2, { bias: false });
    layer.weight.assign(tensor([1, 0, 0, 1], [2, 2]));
    const x = tensor([3, 4], [1, 2]);
    const before = [layer.predict(x), layer.predict(x), layer.predict(x)];
    layer.weight.assign(tensor([0, 0, 0, 0], [2, 2]));
    for (const one of await Promise.all(before)) expect(Array.from(one.held())).toEqual([3, 4]);
    const again = [layer.predict(x), layer.predict(x)];
    const step = compile(() => assign(layer.weight, layer.weight.add(1)))();
    for (const one of await Promise.all(again)) expect(Array.from(one.held())).toEqual([0, 0]);
    await step;
  });

  it("are of the fields and the memory of their moment", async () => {
    const model = new Times();
    const x = Float32Array.of(1, 2);
    await Promise.all(Array.from({ length: 4 }, () => model.predict({ data: x, shape: [1, 2] })));
    const before = Array.from({ length: 5 }, () => model.predict({ data: x, shape: [1, 2] }));
    model.by = 10;
    x.fill(7);
    for (const one of await Promise.all(before)) expect(Array.from(one.held())).toEqual([2, 4]);
    expect(Array.from((await model.predict({ data: x, shape: [1, 2] })).held())).toEqual([70, 70]);
  });

  it("fail each by itself where their shapes do not fit", async () => {
    const model = network();
    const wrong = randn([1, 1, 3, 3], { seed: 1 });
    const [right] = images(1);
    if (right === undefined) throw new Error("no image");
    const outcomes = await Promise.all(
      [right, wrong, right, wrong, right].map((x) => codeOf(() => model.predict(x).then(() => undefined))),
    );
    expect(outcomes).toEqual([
      "nothing thrown",
      "SHAPE_MISMATCH",
      "nothing thrown",
      "SHAPE_MISMATCH",
      "nothing thrown",
    ]);
  });
});

it("a process that waits for nothing else gets its answers", () => {
  const program = `
    import { Linear, randn } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
    const layer = new Linear(2, 2);
    const x = randn([1, 2], { seed: 1 });
    const all = await Promise.all(Array.from({ length: 9 }, () => layer.predict(x)));
    console.log(all.length);
  `;
  const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  });
  expect({ stdout, status }).toEqual({ stdout: "9\n", status: 0 });
});
