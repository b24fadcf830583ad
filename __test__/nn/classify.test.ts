// Logits that tell no class: NaN and infinite ones, single ones, and those of another shape give no class 0 anywhere.
import {
  Attack,
  accuracy,
  CrossEntropyLoss,
  certify,
  DDNAttack,
  evaluate,
  Flatten,
  fit,
  fromArrays,
  L2,
  L2CarliniWagnerAttack,
  Linear,
  Module,
  type Search,
  Sequential,
  SGD,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";

const { NaN: none, POSITIVE_INFINITY: infinite } = Number;
const identity = (...weight: number[]): Linear =>
  new Linear(2, 2, { bias: false }, { weight: tensor(weight, [2, 2]), bias: undefined });
const sound = (): Linear => identity(1, 0, 0, 1);
const x = tensor([
  [0.9, 0.1],
  [0.2, 0.8],
]);
const labels = [0, 1];

/** Networks that give NaN or an infinite largest logit to finite images. */
const broken: [string, () => Linear][] = [
  ["NaN in a weight", () => identity(none, 0, 0, 1)],
  ["NaN in all weights", () => identity(none, none, none, none)],
  ["an infinite weight", () => identity(infinite, 0, 0, 1)],
  ["weights that overflow", () => identity(3e38, 3e38, 3e38, 3e38)],
];

describe.each(broken)("a network with %s", (_, make) => {
  const large = tensor([
    [0.9, 0.9],
    [0.9, 0.9],
  ]);

  it("is refused by classify, which names the sample and the network; predict gives what it computes", async () => {
    const model = make();
    const classes = model.classify(large);
    expect(await codeOf(() => classes)).toBe("NON_FINITE");
    await expect(classes).rejects.toThrow(/the model gives sample 0 no class.*though the sample is finite.*weights/);
    expect((await model.predict(large)).shape).toEqual([2, 2]);
  });

  it("is refused by onePerClass, certify and attacks", async () => {
    const data = fromArrays(Float32Array.from([0.9, 0.9, 0.9, 0.9]), [2, 2], labels);
    expect(await codeOf(() => data.onePerClass(make(), { skipMissing: true }))).toBe("NON_FINITE");
    expect(await codeOf(() => certify(make(), large))).toBe("NON_FINITE");
    for (const attack of [new DDNAttack({ steps: 2 }), new L2CarliniWagnerAttack({ steps: 2 })]) {
      const run = attack.run(make(), large, labels);
      expect(await codeOf(() => run)).toBe("NON_FINITE");
      await expect(run).rejects.toThrow(/the model gives sample 0 no class/);
    }
  });

  it("is right about no sample in an evaluation", async () => {
    const data = fromArrays(Float32Array.from([0.9, 0.9, 0.9, 0.9]), [2, 2], [0, 0]);
    expect(await evaluate(make(), data, { metrics: { acc: accuracy() } })).toEqual({ acc: 0 });
  });
});

describe("inputs that are no numbers", () => {
  it.each([none, infinite, -infinite])("(%d) are named by classify, certify and attacks", async (value) => {
    const images = tensor([0.9, 0.1, 0.2, value], [2, 2]);
    const model = identity(1, 1, 1, -1);
    const classes = model.classify(images);
    expect(await codeOf(() => classes)).toBe("NON_FINITE");
    await expect(classes).rejects.toThrow(new RegExp(`sample 1 has the value ${value} \\(element 1\\)`));
    expect(await codeOf(() => certify(model, images))).toBe("NON_FINITE");
    expect(await codeOf(() => new DDNAttack().run(model, images, labels))).toBe("NON_FINITE");
  });

  it("are looked for in states and in what is computed of tensors too", async () => {
    await expect(sound().classify(x.mul(none))).rejects.toThrow(/sample 0 has the value NaN \(element 0\)/);
  });
});

describe("a largest logit that is finite", () => {
  it("tells the class, whatever the others are: masked classes have -Infinity", async () => {
    class Masked extends Module {
      forward(images: Tensor): Tensor {
        return images.concat(tensor([[-infinite], [-infinite]]), 1);
      }
    }
    expect(await new Masked().classify(x)).toEqual(Int32Array.of(0, 1));
    expect(accuracy()(new Masked().predictSync(x), tensor(Int32Array.of(0, 1))).item()).toBe(1);
  });
});

describe("logits that are not of several classes", () => {
  class Mean extends Module {
    forward(images: Tensor): Tensor {
      return images.mean(1);
    }
  }
  const models: [string, () => Module, RegExp][] = [
    ["one a sample", () => new Linear(2, 1), /given \[2, 1\]; two classes told by the sign of one logit/],
    ["one number a sample", () => new Mean(), /given \[2\]$/],
  ];
  it.each(models)("(%s) have no class, not 0", async (_, make, text) => {
    const data = fromArrays(new Float32Array(4), [2, 2], labels);
    const loss = new CrossEntropyLoss();
    for (const call of [
      () => make().classify(x),
      () => data.onePerClass(make(), { skipMissing: true }),
      () => new DDNAttack().run(make(), x, [0, 0]),
      () => evaluate(make(), data.subset([0]), { metrics: { acc: accuracy() } }),
      () =>
        fit(make(), data.subset([0]), { epochs: 1, batchSize: 1, loss, optimizer: new SGD({ lr: 1 }), verbose: false }),
    ]) {
      expect(await codeOf(call)).toBe("SHAPE_MISMATCH");
    }
    await expect(make().classify(x)).rejects.toThrow(text);
    expect((await make().predict(x)).shape[0]).toBe(2);
  });

  it("nor have those with more axes", async () => {
    await expect(new Sequential([new Flatten()]).classify(tensor([[[1, 2]], [[3, 4]]]))).resolves.toHaveLength(2);
    await expect(sound().classify(tensor([[[1, 2]], [[3, 4]]]))).rejects.toThrow(/given \[2, 1, 2\]$/);
  });
});

it("an image to which the network gives no class fools nobody, though it is offered first", async () => {
  /** Log of the first pixel: NaN below 0. */
  class Log extends Module {
    forward(images: Tensor): Tensor {
      const first = images.slice([0, 0], [images.shape[0] ?? 0, 1]);
      return first.log().concat(first.mul(0).sub(1), 1);
    }
  }
  class Offering extends Attack {
    readonly norm = L2;
    protected async search({ task, best }: Search): Promise<void> {
      for (const moved of [tensor([[-0.1, 0]]), tensor([[0.2, 0]])]) best.offer(moved, task.model.forward(moved));
    }
  }
  const { success, raw } = await new Offering().run(new Log(), tensor([[0.5, 0]]), [0], { bounds: [-1, 1] });
  expect([success, raw.dataSync()]).toEqual([[true], Float32Array.of(Math.fround(0.2), 0)]);
});
