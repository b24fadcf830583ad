// A step that would leave NaN or infinite values changes nothing and ends the training: what was reached stays.
import {
  Adam,
  assign,
  assignAll,
  CrossEntropyLoss,
  compile,
  type Dataset,
  type Device,
  type FitOptions,
  fit,
  fromArrays,
  grad,
  type Loss,
  type Metrics,
  Module,
  Optimizer,
  type Parameter,
  SGD,
  type State,
  type Stateful,
  scalar,
  state,
  type Tensor,
  TrainingPosition,
  TrainingState,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { describeGpu } from "../gpu/gpu.js";
import { clouds, smallNetwork, weightsOf } from "./subset.js";

const SAMPLES = 12;
const BATCH = 2;
/** The batch of each epoch whose loss overflows. */
const BAD = 4;

/** Clouds in which a value of that batch is almost as large as there are. */
function spoiled(): Dataset {
  const { imagesRaw, labelsRaw } = clouds(SAMPLES);
  const images = Float32Array.from(imagesRaw);
  images[(BAD - 1) * BATCH * 8 + 3] = 3e38;
  return fromArrays(images, [SAMPLES, 8], Int32Array.from(labelsRaw));
}

/** Counts its steps, and keeps a mean of what it sees; large logits cost something. */
class Remembering implements Loss, Stateful {
  readonly #inner = new CrossEntropyLoss();
  readonly #mean = state(scalar(0), { name: "mean" });
  readonly #steps = state(zeros([], { dtype: "i32" }), { name: "steps" });

  forward(logits: Tensor, target: Tensor): Tensor {
    const loss = this.#inner.forward(logits, target).add(logits.square().mean().mul(1e-3));
    assign(this.#mean, this.#mean.mul(0.5).add(loss.stopGradient()));
    assign(this.#steps, this.#steps.add(1));
    return loss;
  }

  namedStates(prefix = ""): [string, State][] {
    return [
      [`${prefix}mean`, this.#mean],
      [`${prefix}steps`, this.#steps],
    ];
  }
}

function training(optimizer: Optimizer, data = spoiled()) {
  const model = smallNetwork();
  const parts = { optimizer, loss: new Remembering(), position: new TrainingPosition() };
  const options = { batchSize: BATCH, epochs: 3, shuffle: false, verbose: false, ...parts };
  const all = new TrainingState({ model, ...parts });
  const values = async (): Promise<Record<string, number[]>> =>
    Object.fromEntries(Object.entries(await all.snapshot()).map(([key, value]) => [key, [...value.held()]]));
  return {
    model,
    values,
    train: (more: Partial<FitOptions<Metrics>> = {}) => fit(model, data, { ...options, ...more }),
  };
}

/** Assigns what its function makes of a parameter and its gradient. */
class Made extends Optimizer {
  constructor(readonly next: (parameter: Parameter, gradient: Tensor) => Tensor) {
    super(1);
  }

  protected override updateOne(parameter: Parameter, gradient: Tensor): void {
    assign(parameter, this.next(parameter, gradient));
  }
}

/** A network whose loss is as good as any, and a state of which its steps make more and more. */
class Growing extends Module {
  readonly inner = smallNetwork();
  readonly size = state(scalar(1e36));

  forward(x: Tensor): Tensor {
    if (this.training) assign(this.size, this.size.mul(10));
    return this.inner.forward(x);
  }
}

const times = (factor: number): Loss => ({
  forward: (logits, target) => new CrossEntropyLoss().forward(logits, target).mul(factor),
});

/** 0 with a gradient that is 0 times infinity. */
const kink: Loss = { forward: (logits: Tensor) => logits.mul(0).square().sum().sqrt() };

const finite: [string, () => { optimizer: Optimizer; loss?: Loss }][] = [
  ["a gradient is NaN", () => ({ optimizer: new SGD({ lr: 0.1 }), loss: kink })],
  ["a weight overflows", () => ({ optimizer: new SGD({ lr: 3e38 }), loss: times(100) })],
  ["a second moment overflows", () => ({ optimizer: new Adam(), loss: times(1e25) })],
  [
    "a momentum overflows",
    () => ({ optimizer: new SGD({ lr: 0, momentum: 0.9, weightDecay: 3e38 }), loss: times(1e38) }),
  ],
  ["an optimizer gives NaN", () => ({ optimizer: new Made((p, g) => p.sub(g).mul(-1).square().mul(-1).sqrt()) })],
];

function holds(device: Device): void {
  it("a batch whose loss is not finite", async () => {
    const makers = [
      () => new Adam({ lr: 0.01, amsgrad: true }),
      () => new SGD({ lr: 0.1, momentum: 0.9, dampening: 0.1 }),
    ];
    for (const make of makers) {
      const reached = training(make());
      await reached.train({ device, maxSteps: BAD - 1 });
      const ended = training(make());
      const message = new RegExp(
        `^the loss became (NaN|Infinity) in epoch 1, step ${BAD}, which has changed nothing; `,
      );
      await expect(ended.train({ device })).rejects.toThrow(message);
      // Of the batches behind it none was taken.
      expect(await ended.values()).toEqual(await reached.values());
      expect((await ended.values())["position.steps"]).toEqual([BAD - 1]);
      expect((await ended.values())["loss.steps"]).toEqual([BAD - 1]);
    }
  });

  it.each(finite)("a step of a finite loss in which %s", async (_, make) => {
    const { model, values, train } = training(new SGD({ lr: 0.1 }), clouds(SAMPLES));
    const { optimizer, loss = times(1) } = make();
    optimizer.track(model.parameters());
    const own = async (): Promise<number[][]> =>
      await Promise.all(
        optimizer.namedStates().flatMap(([key, s]) => (key === "epochs" ? [] : [Array.from(s.dataSync())])),
      );
    const before = [await values(), await own()];
    await expect(train({ device, optimizer, loss })).rejects.toThrow(
      /^a gradient or a new value, or the sum of the new values, became NaN or infinite in epoch 1, step 1, which has changed nothing; /,
    );
    expect([await values(), await own()]).toEqual(before);
  });
}

describe("training ends with the last good step on the CPU:", () => holds("cpu"));
describeGpu("training ends with the last good step on a GPU:", () => holds("gpu"));

describe("training that ends with NON_FINITE", () => {
  it("can go on with other data from where it was", async () => {
    const { model, values, train } = training(new Adam({ lr: 0.01 }));
    await expect(train()).rejects.toMatchObject({ code: "NON_FINITE" });
    const [reached, twin] = [await values(), training(new Adam({ lr: 0.01 }), clouds(SAMPLES))];
    await twin.train({ maxSteps: BAD - 1 });
    expect(await twin.values()).toEqual(reached);
    // A step of the same place made again, and again an end.
    await expect(train()).rejects.toThrow(`in epoch 1, step ${BAD},`);
    expect(await values()).toEqual(reached);
    expect(weightsOf(model).every(Number.isFinite)).toBe(true);
  });

  it("says the epoch in which a state of the model's own overflows", async () => {
    const model = new Growing();
    const options = { epochs: 9, batchSize: 6, loss: new CrossEntropyLoss(), verbose: false };
    const optimizer = new SGD({ lr: 0.1 });
    // Two steps an epoch; the third would make 1e39 of it.
    await expect(fit(model, clouds(SAMPLES), { ...options, optimizer })).rejects.toThrow(/in epoch 2, step 1,/);
    expect(model.size.item()).toBe(Math.fround(Math.fround(Math.fround(1e36) * 10) * 10));
  });

  it("does not for a loss of validation, which is recorded as it is", async () => {
    const { train } = training(new SGD({ lr: 0.1 }), clouds(SAMPLES));
    const { epochs } = await train({ epochs: 2, validation: spoiled() });
    expect(epochs.map(({ val_loss }) => Number.isFinite(val_loss))).toEqual([false, false]);
    expect(epochs.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  });

  it("trains with the same bits as steps without a watch", async () => {
    const [data, watched, plain] = [clouds(SAMPLES), smallNetwork(), smallNetwork()];
    const loss = new CrossEntropyLoss();
    const options = { batchSize: SAMPLES, shuffle: false, verbose: false, loss };
    await fit(watched, data, { ...options, epochs: 5, optimizer: new Adam({ lr: 0.01 }) });
    const optimizer = new Adam({ lr: 0.01 });
    const step = compile((x: Tensor, y: Tensor) => {
      optimizer.update(plain.parameters(), grad(loss.forward(plain.forward(x), y), plain.parameters()));
    });
    const { images, labels } = data.batch(0, SAMPLES);
    for (let i = 0; i < 5; i++) await step(images, tensor(labels));
    expect(weightsOf(watched)).toEqual(weightsOf(plain));
  });
});

it("states that a step exchanges, or hands on, are in fit what they are in a compiled function", async () => {
  const states = () => [1, 2, 10, 20].map((value) => state(tensor([value])));
  const step = ([a, b, now, before]: State[]): void => {
    if (a === undefined || b === undefined || now === undefined || before === undefined) throw new Error("four states");
    assignAll([
      [a, b],
      [b, a],
      [now, now.add(1)],
      [before, now],
    ]);
  };
  const [fitted, compiled] = [states(), states()];
  const loss: Loss = {
    forward: (outputs) => {
      step(fitted);
      return outputs.square().mean();
    },
  };
  const options = { epochs: 1, batchSize: BATCH, optimizer: new SGD({ lr: 0.1 }), verbose: false } as const;
  await fit(smallNetwork(), clouds(SAMPLES), { ...options, loss, device: "cpu" });
  const other = compile(() => step(compiled));
  for (let i = 0; i < SAMPLES / BATCH; i++) await other();
  expect(fitted.map((one) => one.item())).toEqual(compiled.map((one) => one.item()));
  expect(fitted.map((one) => one.item())).toEqual([1, 2, 16, 15]);
});
