// A training that is stopped after any step, and goes on in other objects, ends with the bits of one that was not stopped.
import {
  Adam,
  AdamW,
  assign,
  CosineAnnealingLR,
  CrossEntropyLoss,
  compile,
  type FitOptions,
  fit,
  fromArrays,
  Generator,
  GroupSort2,
  grad,
  Linear,
  Lookahead,
  type Loss,
  type Metrics,
  Module,
  manualSeed,
  NAdam,
  OneCycleLR,
  type Optimizer,
  Parameter,
  rand,
  randn,
  type Schedule,
  Sequential,
  SGD,
  SpectralLinear,
  type State,
  type Stateful,
  StepLR,
  scalar,
  state,
  type Tensor,
  TrainingPosition,
  TrainingState,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";

/** Adds noise while training, of a generator of its own and of what all share; running statistics of what it sees. */
class Noisy extends Module {
  readonly noise = new Generator({ seed: 5 });
  readonly mean = state(scalar(0), { name: "running mean" });
  forward(x: Tensor): Tensor {
    if (!this.training) return x;
    assign(this.mean, this.mean.mul(0.9).add(x.mean().mul(0.1)));
    const kept = this.noise.uniform(x.shape).greater(0.2).cast("f32");
    const noise = this.noise.normal(x.shape).add(rand(x.shape)).add(randn(x.shape)).mul(0.05);
    return x.mul(kept).add(noise).sub(this.mean.mul(0.01));
  }
  override get lipschitzByConstruction(): boolean {
    return true;
  }
}

/** Weighs the loss by how large it was in the steps before. */
class Remembering implements Loss, Stateful {
  readonly #inner = new CrossEntropyLoss();
  readonly #memory = state(scalar(1), { name: "memory of the loss" });
  forward(logits: Tensor, target: Tensor): Tensor {
    const loss = this.#inner.forward(logits, target);
    const weight = this.#memory;
    assign(this.#memory, weight.mul(0.5).add(loss.stopGradient().mul(0.5)));
    return loss.mul(weight);
  }
  namedStates(prefix = ""): [string, State][] {
    return [[`${prefix}memory`, this.#memory]];
  }
}

const SAMPLES = 22;
const BATCH = 5;
const EPOCHS = 3;
const STEPS = EPOCHS * Math.ceil(SAMPLES / BATCH);

const trainings: [string, () => { optimizer: Optimizer; schedule?: Schedule }][] = [
  ["Adam", () => ({ optimizer: new Adam({ lr: 1e-2 }) })],
  [
    "Adam with a cycled momentum",
    () => ({ optimizer: new Adam(), schedule: new OneCycleLR({ maxLr: 2e-2, totalSteps: STEPS }) }),
  ],
  [
    "AdamW with amsgrad",
    () => ({ optimizer: new AdamW({ amsgrad: true }), schedule: new StepLR({ lr: 0.01, stepSize: 4 }) }),
  ],
  [
    "SGD with momentum and dampening",
    () => ({
      optimizer: new SGD({ lr: 0.1, momentum: 0.9, dampening: 0.1 }),
      schedule: new CosineAnnealingLR({ lr: 0.1, tMax: STEPS }),
    }),
  ],
  [
    "NAdam",
    () => ({ optimizer: new NAdam({ lr: 0.01, weightDecay: 0.1 }), schedule: new StepLR({ lr: 0.01, stepSize: 4 }) }),
  ],
  [
    "NAdam whose momentum a schedule cycles",
    () => ({ optimizer: new NAdam(), schedule: new OneCycleLR({ maxLr: 2e-2, totalSteps: STEPS }) }),
  ],
  ["Lookahead", () => ({ optimizer: new Lookahead(new Adam({ lr: 0.01 }), { k: 4 }) })],
  [
    "Lookahead whose momentum a schedule cycles",
    () => ({
      optimizer: new Lookahead(new SGD({ lr: 0.1 }), { k: 3 }),
      schedule: new OneCycleLR({ maxLr: 0.1, totalSteps: STEPS }),
    }),
  ],
  [
    "SGD whose momentum a schedule cycles",
    () => ({ optimizer: new SGD({ lr: 0.1 }), schedule: new OneCycleLR({ maxLr: 0.1, totalSteps: STEPS }) }),
  ],
];

const data = fromArrays(
  Float32Array.from(randn([SAMPLES, 6], { seed: 1 }).dataSync()),
  [SAMPLES, 6],
  Array.from({ length: SAMPLES }, (_, i) => i % 3),
);

/** Objects of a training as a program makes them; initial weights are others each time. `named`: whether the state is told of the schedule. */
function fresh(make: (typeof trainings)[number][1], seed: number, named = true) {
  manualSeed(seed);
  const model = new Sequential([new SpectralLinear(6, 8), new Noisy(), new GroupSort2(), new SpectralLinear(8, 3)]);
  const { optimizer, schedule } = make();
  const parts = { model, optimizer, loss: new Remembering(), position: new TrainingPosition() };
  const all = schedule === undefined ? parts : { ...parts, schedule };
  const train = (more: Partial<FitOptions<Metrics>> = {}) => {
    const { model: trained, ...rest } = all;
    return fit(trained, data, { epochs: EPOCHS, batchSize: BATCH, seed: 3, verbose: false, ...rest, ...more });
  };
  return { ...all, train, state: new TrainingState(named ? all : parts) };
}

const bits = async (training: TrainingState): Promise<Record<string, number[]>> =>
  Object.fromEntries(Object.entries(await training.snapshot()).map(([key, value]) => [key, [...value.held()]]));

describe.each(trainings)("a training with %s", (_, make) => {
  it("goes on bit for bit after any of its steps, in objects that were made anew", async () => {
    const whole = fresh(make, 1);
    const { epochs } = await whole.train();
    const want = await bits(whole.state);
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(want["position.steps"]).toEqual([STEPS]);
    expect(Object.keys(want)).toContain("model.1.noise.steps");
    expect(Object.keys(want)).toContain("loss.memory");
    expect(Object.keys(want)).toContain("random.steps");
    for (let step = 1; step < STEPS; step++) {
      const first = fresh(make, 1);
      await first.train({ maxSteps: step });
      const taken = await first.state.snapshot();
      expect([...(taken["position.steps"]?.held() ?? [])]).toEqual([step]);
      const second = fresh(make, 2);
      second.state.restore(taken);
      const rest = await second.train();
      expect(await bits(second.state), `stopped after step ${step}`).toEqual(want);
      expect(rest.epochs.at(-1)?.epoch).toBe(EPOCHS);
    }
  });

  it("does, too, where its state was not told of the schedule", async () => {
    const whole = fresh(make, 1, false);
    await whole.train();
    const want = await bits(whole.state);
    const first = fresh(make, 1, false);
    await first.train({ maxSteps: 7 });
    const taken = await first.state.snapshot();
    const second = fresh(make, 2, false);
    second.state.restore(taken);
    await second.train();
    expect(await bits(second.state)).toEqual(want);
  });

  it("has the states that it had where a snapshot does not fit", async () => {
    const first = fresh(make, 1);
    await first.train({ maxSteps: 7 });
    const { "loss.memory": _, ...taken } = await first.state.snapshot();
    const second = fresh(make, 2, false);
    const before = await bits(second.state);
    expect(() => second.state.restore(taken)).toThrow(/missing keys: loss\.memory$/);
    expect(await bits(second.state)).toEqual(before);
  });

  it("would not without one of its states", async () => {
    const whole = fresh(make, 1);
    await whole.train();
    const want = await bits(whole.state);
    const first = fresh(make, 1);
    await first.train({ maxSteps: 7 });
    const taken = await first.state.snapshot();
    for (const key of ["loss.memory", "model.1.noise.steps", "model.1.mean", "position.steps", "random.steps"]) {
      const second = fresh(make, 1);
      const before = await second.state.snapshot();
      second.state.restore({ ...taken, [key]: before[key] ?? tensor(0) });
      await second.train();
      expect(await bits(second.state), key).not.toEqual(want);
    }
  });
});

describe("a snapshot", () => {
  it("that does not fit is refused as a whole, with all that is wrong", async () => {
    const { state: training } = fresh(trainings[0]?.[1] ?? (() => ({ optimizer: new Adam() })), 1);
    const before = await bits(training);
    const { "loss.memory": _, ...taken } = await training.snapshot();
    expect(() => training.restore({ ...taken, "optimizer.rate": tensor([1, 2]), stray: tensor(1) })).toThrow(
      /missing keys: loss\.memory[\s\S]*unexpected keys: stray[\s\S]*optimizer\.rate/,
    );
    expect(await bits(training)).toEqual(before);
  });

  it("is one of a moment between two steps while training goes on", async () => {
    const training = fresh(trainings[0]?.[1] ?? (() => ({ optimizer: new Adam() })), 1);
    const running = training.train({ epochs: 200 });
    for (let i = 0; i < 5; i++) {
      const taken = await training.state.snapshot();
      // The optimizer, the generator and the position count the same steps.
      const count = taken["position.steps"]?.held()[0];
      const counts = Object.keys(taken).filter((key) => /^optimizer\..*\.steps$/.test(key));
      expect(counts).toHaveLength(training.model.parameters().length);
      for (const key of counts) expect(taken[key]?.held()[0]).toBe(count);
      expect(taken["model.1.noise.steps"]?.held()[0]).toBe(count);
    }
    await running;
  });
});

/** Two layers alike, and what trains them by hand. */
function pair(optimizer: Optimizer) {
  manualSeed(1);
  const layers = [new Linear(2, 2, { bias: false }), new Linear(2, 2, { bias: false })] as const;
  const model = new Sequential(layers, { constrained: false });
  const step = compile((x: Tensor) => {
    const loss = model.forward(x).square().sum();
    optimizer.update(model.parameters(), grad(loss, model.parameters()));
    return { loss };
  });
  const x = tensor([
    [1, 2],
    [3, -1],
  ]);
  const losses = (): number[] => Array.from({ length: 3 }, () => step.sync(x).loss.item());
  return { model, layers, losses, state: new TrainingState({ model, optimizer }) };
}

const looks: [string, (part: Linear) => unknown][] = [
  ["summary", (part) => part.summary([2])],
  ["parameters", (part) => part.parameters()],
  ["stateDict", async (part) => await part.stateDict()],
  ["namedStates", (part) => part.namedStates()],
  ["vanillaExport", (part) => part.vanillaExport()],
  ["a container of it", (part) => new Sequential([part], { constrained: false })],
];

describe("a snapshot's keys", () => {
  it.each(looks)("stay when somebody looks at a part of the model: %s", async (_, look) => {
    const training = pair(new Adam({ lr: 0.1 }));
    training.losses();
    const keys = Object.keys(await training.state.snapshot());
    for (const part of training.layers) await look(part);
    const taken = await training.state.snapshot();
    expect(Object.keys(taken)).toEqual(keys);
    expect(keys).toContain("optimizer.1.weight.first moment");
    const going = training.losses();
    for (const part of training.layers.toReversed()) await look(part);
    training.state.restore(taken);
    expect(training.losses()).toEqual(going);
  });

  it("are two for two models that an optimizer has seen, though their parameters are called alike", async () => {
    const optimizer = new Adam({ lr: 0.1 });
    const [other, training] = [pair(optimizer), pair(optimizer)];
    const free = new Parameter(tensor([1]));
    optimizer.track([free, new Parameter(tensor([1]))]);
    other.losses();
    training.losses();
    const taken = await training.state.snapshot();
    expect(
      Object.keys(taken)
        .filter((key) => /^optimizer\..*\.steps$/.test(key))
        .sort(),
    ).toEqual(["#0", "#1", "#2", "#3", "0.weight", "1.weight"].map((key) => `optimizer.${key}.steps`));
    const going = [training.losses(), other.losses()];
    training.state.restore(taken);
    expect(training.losses()).toEqual(going[0]);
    // The other model's weights are not part of it, what the optimizer knows of them is.
    expect((await training.state.snapshot())["optimizer.#0.steps"]?.item()).toBe(3);
  });

  it("file a parameter that stands twice once", async () => {
    const layer = new Linear(2, 2, { bias: false });
    const model = new Sequential([layer, layer], { constrained: false });
    const training = new TrainingState({ model, optimizer: new SGD({ lr: 1, momentum: 0.5 }) });
    const taken = await training.snapshot();
    expect(Object.keys(taken)).toEqual([
      "model.0.weight",
      "model.1.weight",
      "optimizer.rate",
      "optimizer.epochs",
      "optimizer.momentum",
      "optimizer.0.weight.momentum",
      "random.steps",
    ]);
    training.restore(taken);
  });

  it("are refused where two states have one, by snapshot, restore and state dictionaries alike", async () => {
    class Colliding extends Linear {
      readonly statistics = {
        namedStates: (prefix = ""): [string, State][] => [[prefix.replace("statistics.", "weight"), this.mean]],
      };
      readonly mean = state(zeros([2, 2]));
    }
    const model = new Colliding(2, 2, { bias: false });
    const training = new TrainingState({ model });
    const message = /two states have the key (model\.)?weight/;
    await expect(training.snapshot()).rejects.toThrow(message);
    await expect(model.stateDict()).rejects.toThrow(message);
    expect(() => training.restore({})).toThrow(message);
    expect(() => model.loadStateDict({})).toThrow(message);
  });
});

describe("maxSteps and position", () => {
  it("are refused where a position below 0 was restored", async () => {
    const training = fresh(() => ({ optimizer: new Adam() }), 1);
    const taken = await training.state.snapshot();
    training.state.restore({ ...taken, "position.steps": tensor(Int32Array.of(-3), []) });
    await expect(training.train()).rejects.toThrow(/position\.steps must be at least 0; it is -3/);
    training.state.restore(taken);
    expect((await training.train()).epochs).toHaveLength(EPOCHS);
  });

  it("are refused unless they are what they should be", async () => {
    const { train } = fresh(() => ({ optimizer: new Adam() }), 1);
    await expect(train({ maxSteps: 0 })).rejects.toThrow(/maxSteps/);
    await expect(train({ position: 3 as unknown as TrainingPosition })).rejects.toThrow(/position/);
  });
});

describe("a Generator", () => {
  it("draws other numbers at each step, and at a step done again the same", async () => {
    const source = new Generator({ seed: 1 });
    const draw = compile(() => ({ u: source.uniform([4]), v: source.uniform([4]), n: source.normal([4]) }));
    const first = await draw();
    const second = await draw();
    const all = [first.u, first.v, first.n, second.u, second.v, second.n].map((value) => [...value.held()].join());
    expect(new Set(all).size).toBe(6);
    const [[, steps] = ["", undefined]] = source.namedStates();
    steps?.assign(scalar(1, "i32"));
    expect((await draw()).n.held()).toEqual(second.n.held());
    const outside = source.normal([4]);
    expect(outside.dataSync()).toEqual(outside.dataSync());
    expect(source.normal([4]).dataSync()).not.toEqual(outside.dataSync());
  });

  it("gives the same sequence for the same seed, and one of its own without", () => {
    const numbers = (options?: { seed: number }) => [...new Generator(options).uniform([3]).dataSync()];
    expect(numbers({ seed: 4 })).toEqual(numbers({ seed: 4 }));
    expect(numbers()).not.toEqual(numbers());
  });
});
