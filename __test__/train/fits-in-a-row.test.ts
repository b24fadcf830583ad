// A training made of several fits: with initialEpoch it is bit for bit a single one, without it goes on with other orders.
import {
  Adam,
  AdamW,
  accuracy,
  assign,
  CosineAnnealingLR,
  CrossEntropyLoss,
  type EpochRecord,
  type FitOptions,
  fit,
  fromArrays,
  Linear,
  type Loss,
  type Metrics,
  OneCycleLR,
  type Optimizer,
  type Schedule,
  SGD,
  StepLR,
  scalar,
  state,
  type Tensor,
  TrainingPosition,
  TrainingState,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { describe as described } from "../../src/describe.js";
import { clouds, smallNetwork, weightsOf } from "./subset.js";

const SAMPLES = 50;
const BATCH = 20;
const EPOCHS = 3;
const STEPS = EPOCHS * Math.ceil(SAMPLES / BATCH);

const trainings: [string, () => { optimizer: Optimizer; schedule?: Schedule; shuffle?: boolean }][] = [
  ["Adam", () => ({ optimizer: new Adam({ lr: 0.01 }) })],
  [
    "Adam and a cycled momentum",
    () => ({ optimizer: new Adam(), schedule: new OneCycleLR({ maxLr: 0.02, totalSteps: STEPS }) }),
  ],
  [
    "AdamW and a schedule",
    () => ({ optimizer: new AdamW({ amsgrad: true }), schedule: new StepLR({ lr: 0.01, stepSize: 4 }) }),
  ],
  [
    "SGD with momentum and a schedule",
    () => ({
      optimizer: new SGD({ lr: 0.1, momentum: 0.9, dampening: 0.1 }),
      schedule: new CosineAnnealingLR({ lr: 0.1, tMax: STEPS }),
    }),
  ],
  ["SGD without shuffling", () => ({ optimizer: new SGD({ lr: 0.1 }), shuffle: false })],
];

/** A model, and what trains it; figures are without times. */
function training(make: (typeof trainings)[number][1], seed = 3) {
  const model = smallNetwork();
  const { optimizer, ...how } = make();
  const options = { batchSize: BATCH, loss: new CrossEntropyLoss(), optimizer, seed, verbose: false, ...how };
  const measured = { metrics: { acc: accuracy() }, validation: clouds(15, 9) };
  const train = async (more: Partial<FitOptions<Metrics>> & { epochs: number }): Promise<object[]> => {
    const { epochs } = await fit(model, clouds(SAMPLES), { ...options, ...measured, ...more });
    return epochs.map(({ seconds: _, imagesPerSecond: __, ...figures }: EpochRecord<Metrics>) => figures);
  };
  const { loss } = options;
  const { schedule } = how;
  const all = new TrainingState({ model, optimizer, loss, ...(schedule && { schedule }) });
  const bits = async (): Promise<Record<string, number[]>> =>
    Object.fromEntries(Object.entries(await all.snapshot()).map(([key, value]) => [key, [...value.held()]]));
  return { model, optimizer, options, train, bits, all };
}

describe.each(trainings)("fits one after another with %s", (_, make) => {
  it("train as a single one, bit for bit, with the same figures", async () => {
    const whole = training(make);
    const figures = await whole.train({ epochs: EPOCHS });
    const parts = training(make);
    const rows: object[] = [];
    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      rows.push(...(await parts.train({ initialEpoch: epoch, epochs: epoch + 1 })));
    }
    expect(rows).toEqual(figures);
    expect(rows.map((row) => (row as { epoch: number }).epoch)).toEqual([1, 2, 3]);
    expect(await parts.bits()).toEqual(await whole.bits());
    expect((await whole.bits())["optimizer.epochs"]).toEqual([EPOCHS]);
  });

  it("train as a single one in objects that were made anew and given its states", async () => {
    const whole = training(make);
    await whole.train({ epochs: EPOCHS });
    const first = training(make);
    await first.train({ epochs: 2 });
    const second = training(make);
    second.all.restore(await first.all.snapshot());
    await second.train({ initialEpoch: 2, epochs: EPOCHS });
    expect(await second.bits()).toEqual(await whole.bits());
  });
});

const TEN = 10;

/** Takes down the targets of the samples in the order in which it sees them. */
class Recorder implements Loss {
  readonly #seen = state(zeros([TEN]));
  readonly #count = state(zeros([], { dtype: "i32" }));

  forward(outputs: Tensor, targets: Tensor): Tensor {
    assign(this.#seen, this.#seen.add(this.#count.oneHot(TEN).mul(targets.sum())));
    assign(this.#count, this.#count.add(1));
    return outputs.mean().mul(0);
  }

  /** What it saw of one epoch. */
  order(): string {
    return Array.from(this.#seen.dataSync()).join();
  }
}

/** Ten samples that are their own numbers. */
const numbers = fromArrays(
  Float32Array.from({ length: TEN }, (_, i) => i),
  [TEN, 1],
  Float32Array.from({ length: TEN }, (_, i) => i),
);

/** The order in which an epoch takes ten samples. */
async function orderOf(optimizer: Optimizer, more: Partial<FitOptions<Metrics>> = {}): Promise<string> {
  const loss = new Recorder();
  await fit(new Linear(1, 1), numbers, { epochs: 1, batchSize: 1, loss, optimizer, verbose: false, ...more });
  return loss.order();
}

describe("another fit", () => {
  it("takes the samples in other orders, which follow from the seed and the optimizer alone", async () => {
    const [one, two] = [new SGD({ lr: 0 }), new SGD({ lr: 0 })];
    const orders: string[] = [];
    for (let i = 0; i < 4; i++) orders.push(await orderOf(one));
    expect(new Set(orders).size).toBe(4);
    for (const order of orders) expect(await orderOf(two)).toBe(order);
    expect(await orderOf(new SGD({ lr: 0 }), { seed: 1 })).not.toBe(orders[0]);
    expect(one.epochs.item()).toBe(4);
  });

  it("takes them as the epochs of one fit do", async () => {
    const make = () => ({ optimizer: new Adam({ lr: 0.01 }) });
    const [whole, parts] = [training(make), training(make)];
    await whole.train({ epochs: EPOCHS });
    for (let i = 0; i < EPOCHS; i++) await parts.train({ epochs: 1 });
    expect(weightsOf(parts.model)).toEqual(weightsOf(whole.model));
    expect(await parts.bits()).toEqual(await whole.bits());
  });

  it("takes those of its place where that is given, by an epoch or a position", async () => {
    const [optimizer, position] = [new SGD({ lr: 0 }), new TrainingPosition()];
    const [first, second] = [await orderOf(optimizer), await orderOf(optimizer)];
    expect(await orderOf(optimizer, { initialEpoch: 0 })).toBe(first);
    expect(await orderOf(optimizer, { initialEpoch: 1, epochs: 2 })).toBe(second);
    expect(await orderOf(optimizer, { position })).toBe(first);
    expect(await orderOf(optimizer, { position, epochs: 2 })).toBe(second);
  });

  it("takes them in their own order without shuffling", async () => {
    const optimizer = new SGD({ lr: 0 });
    for (let i = 0; i < 2; i++) expect(await orderOf(optimizer, { shuffle: false })).toBe("0,1,2,3,4,5,6,7,8,9");
  });
});

describe("initialEpoch", () => {
  it.each([-1, 0.5, 3, 4, Number.NaN, "1"])("is refused as %s of three epochs", async (initialEpoch) => {
    const { model, train } = training(() => ({ optimizer: new SGD({ lr: 0.1 }) }));
    const before = weightsOf(model);
    await expect(train({ epochs: 3, initialEpoch: initialEpoch as number })).rejects.toThrow(
      `initialEpoch must be a whole number below epochs, which counts all from the first; given ${described(initialEpoch)} of 3: ` +
        "for n epochs more give epochs: initialEpoch + n",
    );
    expect(weightsOf(model)).toEqual(before);
  });

  it("is refused beside a position", async () => {
    const { train } = training(() => ({ optimizer: new SGD({ lr: 0.1 }) }));
    await expect(train({ epochs: 3, initialEpoch: 1, position: new TrainingPosition() })).rejects.toThrow(
      /initialEpoch and position both say where to begin; give one of them/,
    );
  });
});

describe("an optimizer's epochs", () => {
  it("are refused where something was put there that is no count", async () => {
    const { optimizer, train } = training(() => ({ optimizer: new SGD({ lr: 0.1 }) }));
    optimizer.epochs.assign(scalar(-1));
    await expect(train({ epochs: 1 })).rejects.toThrow(/the optimizer's epochs must be a whole number >= 0; given -1/);
  });
});
