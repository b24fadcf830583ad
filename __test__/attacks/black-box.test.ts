// Attacks of a function that answers images, in the place of a model: what it is asked, how often, and what becomes of its mistakes.
import { setTimeout } from "node:timers/promises";
import {
  type Attack,
  assign,
  BlackBox,
  type BlackBoxOptions,
  BoundaryAttack,
  DatasetAttack,
  GenAttack,
  Generator,
  HopSkipJumpAttack,
  L2FastGradientAttack,
  L2RepeatedAdditiveGaussianNoiseAttack,
  L2SquareAttack,
  LinearSearchBlendedUniformNoiseAttack,
  Linf,
  LinfSquareAttack,
  type Module,
  PointwiseAttack,
  type Predict,
  type Queries,
  QueryAttack,
  SaltAndPepperNoiseAttack,
  state,
  TslipError,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { CLASSES, FEATURES, problem } from "./linear.js";

const { model, images, labels, nearest } = problem();
const options: BlackBoxOptions = { shape: [FEATURES], classes: CLASSES };

/** A remote model, and what it was asked. */
function remote(served: Module, more: { classes?: boolean; delay?: number; batchSize?: number } = {}) {
  const calls: number[] = [];
  const box = new BlackBox(
    async (values, shape) => {
      calls.push(shape[0] ?? 0);
      if (more.delay !== undefined) await setTimeout(more.delay);
      const logits = await served.predict(tensor(values, shape));
      if (more.classes !== true) return Float32Array.from(logits.held());
      const rows = Array.from({ length: shape[0] ?? 0 }, (_, i) => logits.held().slice(i * CLASSES, (i + 1) * CLASSES));
      return rows.map((row) => row.indexOf(Math.max(...row)));
    },
    { ...options, ...(more.batchSize === undefined ? {} : { batchSize: more.batchSize }) },
  );
  return { box, calls };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const attacks: Record<string, () => QueryAttack> = {
  HopSkipJumpAttack: () => new HopSkipJumpAttack({ steps: 3, seed: 1 }),
  "HopSkipJumpAttack in L∞ norm": () => new HopSkipJumpAttack({ steps: 3, constraint: "linf", seed: 1 }),
  BoundaryAttack: () => new BoundaryAttack({ steps: 60, seed: 1 }),
  L2SquareAttack: () => new L2SquareAttack({ steps: 10, binarySearchSteps: 4, seed: 1 }),
  LinfSquareAttack: () => new LinfSquareAttack({ steps: 10, binarySearchSteps: 4, seed: 1 }),
  GenAttack: () => new GenAttack({ steps: 8, population: 5, binarySearchSteps: 4, seed: 1 }),
  SaltAndPepperNoiseAttack: () => new SaltAndPepperNoiseAttack({ steps: 50, seed: 1 }),
  PointwiseAttack: () =>
    new PointwiseAttack({ initAttack: new SaltAndPepperNoiseAttack({ steps: 20, seed: 1 }), seed: 1 }),
  LinearSearchBlendedUniformNoiseAttack: () => new LinearSearchBlendedUniformNoiseAttack({ steps: 20, seed: 1 }),
  L2RepeatedAdditiveGaussianNoiseAttack: () =>
    new L2RepeatedAdditiveGaussianNoiseAttack({ repeats: 5, binarySearchSteps: 6, seed: 1 }),
};

describe.each(Object.entries(attacks))("%s", (_, make) => {
  it("finds of a function what it finds of the module behind it, and counts the same questions", async () => {
    const { box, calls } = remote(model);
    const own = await make().run(model, images, labels);
    const other = await make().run(box, images, labels);
    expect(other.success).toEqual(own.success);
    expect(other.queries).toEqual(own.queries);
    other.distances.forEach((distance, i) => {
      if (other.success[i]) expect(distance).toBeCloseTo(own.distances[i] ?? 0, 4);
    });
    expect(sum(calls)).toBe(sum(other.queries ?? []));
  });

  it("asks for no image more often than it may", async () => {
    const { box, calls } = remote(model);
    const attack = make();
    Object.assign(attack, { options: { ...attack.options, maxQueries: 17 } });
    const { queries = [] } = await attack.run(box, images, labels);
    for (const count of queries) expect(count).toBeLessThanOrEqual(17);
    expect(sum(calls)).toBe(sum(queries));
    const results = await attack.run(box, images, labels, { epsilons: [0.1, 0.4, 3] });
    for (const result of results) {
      for (const count of result.queries ?? []) expect(count).toBeLessThanOrEqual(17);
    }
  });

  it("finds for an image alone the bits that it finds among others, and asks as often", async () => {
    const all = await make().run(remote(model).box, images, labels);
    for (const n of [0, 7]) {
      const one = tensor(images.dataSync().slice(n * FEATURES, (n + 1) * FEATURES), [1, FEATURES]);
      const alone = await make().run(remote(model).box, one, [labels[n] ?? 0]);
      expect(alone.distances[0]).toBe(all.distances[n]);
      expect(alone.queries?.[0]).toBe(all.queries?.[n]);
    }
  });

  it("leaves an image that is told wrong already alone: it is asked for once", async () => {
    const wrong = labels.map((label) => (label + 1) % CLASSES);
    const { box, calls } = remote(model);
    const { distances, queries } = await make().run(box, images, wrong);
    expect([...distances]).toEqual(labels.map(() => 0));
    expect(queries).toEqual(labels.map(() => 1));
    expect(sum(calls)).toBe(labels.length);
  });
});

describe("classes alone", () => {
  it.each(["HopSkipJumpAttack", "BoundaryAttack", "PointwiseAttack"])("do for %s", async (name) => {
    const make = attacks[name] as () => QueryAttack;
    const scored = await make().run(remote(model).box, images, labels);
    const told = await make().run(remote(model, { classes: true }).box, images, labels);
    expect(told.distances).toEqual(scored.distances);
    expect(told.queries).toEqual(scored.queries);
  });

  it.each([L2SquareAttack, LinfSquareAttack, GenAttack])("are too little for $name, which says so", async (Scored) => {
    await expect(new Scored({ steps: 3 }).run(remote(model, { classes: true }).box, images, labels)).rejects.toThrow(
      "this attack goes by logits",
    );
  });
});

describe("a function that is asked", () => {
  it("comes near the nearest adversarials by HopSkipJump, in few calls", async () => {
    const { box, calls } = remote(model, { delay: 1 });
    const { distances, queries = [] } = await new HopSkipJumpAttack({ steps: 10, seed: 1 }).run(box, images, labels, {
      bounds: [-3, 3],
    });
    nearest.forEach((distance, i) => {
      expect(distances[i]).toBeGreaterThan(distance * (1 - 1e-5));
      expect(distances[i]).toBeLessThan(distance * 1.1);
    });
    expect(calls.length).toBeLessThan(Math.max(...queries));
    expect(Math.max(...calls)).toBeLessThanOrEqual(128);
  });

  it("is given several questions at once where none waits for an answer, and never more than it takes", async () => {
    const one = images.slice([0], [1]);
    const counts = [];
    for (const batchSize of [1, 7, 128]) {
      const { box, calls } = remote(model, { batchSize });
      const result = await new HopSkipJumpAttack({ steps: 2, seed: 1 }).run(box, one, labels.slice(0, 1));
      expect(Math.max(...calls)).toBeLessThanOrEqual(batchSize);
      counts.push({ calls: calls.length, queries: result.queries, distance: result.distances[0] });
    }
    expect(counts[1]?.queries).toEqual(counts[0]?.queries);
    expect(counts[2]?.distance).toBe(counts[0]?.distance);
    expect(counts[2]?.calls).toBeLessThan((counts[0]?.calls ?? 0) / 2);
  });

  it("has images of its own, rows of their shape, and the signal", async () => {
    const controller = new AbortController();
    const seen: unknown[] = [];
    const box = new BlackBox(async (values, shape, signal) => {
      seen.push(signal === controller.signal, shape.slice(1), values.length / (shape[0] ?? 1));
      const logits = Float32Array.from((await model.predict(tensor(values, shape))).held());
      values.fill(Number.NaN);
      return Array.from({ length: shape[0] ?? 0 }, (_, i) => [...logits.subarray(i * CLASSES, (i + 1) * CLASSES)]);
    }, options);
    const run = (target: Module | BlackBox) =>
      new SaltAndPepperNoiseAttack({ steps: 5, seed: 1 }).run(target, images, labels, { signal: controller.signal });
    const result = await run(box);
    expect(result.distances).toEqual((await run(model)).distances);
    expect(seen.filter((each) => each === true).length).toBeGreaterThan(3);
    expect(seen).not.toContain(false);
    expect(seen).toContainEqual([FEATURES]);
  });

  it("leads to targets from images of a data set that it tells as them", async () => {
    const fed = new DatasetAttack({ seed: 3 }).feed(new Generator({ seed: 8 }).uniform([60, FEATURES]).mul(6).sub(3));
    const targets = labels.map((label) => (label + 1) % CLASSES);
    const { box } = remote(model, { classes: true });
    const { success, clipped } = await new HopSkipJumpAttack({ steps: 2, initAttack: fed, seed: 1 }).run(
      box,
      images,
      labels,
      { targets, bounds: [-3, 3] },
    );
    expect(success.every(Boolean)).toBe(true);
    expect([...(await model.classify(clipped))]).toEqual(targets);
  });

  it("is told of no work that it has not done: progress grows to 1", async () => {
    const shares: number[] = [];
    const { success } = await new HopSkipJumpAttack({ steps: 3, seed: 1 }).run(remote(model).box, images, labels, {
      onProgress: (share, found) => {
        shares.push(share);
        expect(found).toBeLessThanOrEqual(labels.length);
      },
    });
    expect(success.every(Boolean)).toBe(true);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.at(-1)).toBeCloseTo(1, 9);
  });

  it("leaves others their turn, though it answers at once", async () => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    const box = new BlackBox((values, [n = 0]) => Array.from({ length: n }, (_, i) => Number((values[i] ?? 0) > 2)), {
      shape: [FEATURES],
      classes: CLASSES,
    });
    await new SaltAndPepperNoiseAttack({ steps: 300, seed: 1 }).run(box, images, new Array(12).fill(0));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });
});

it("an attack of one's own is rounds of questions: of a module and of a function the same", async () => {
  /** Moves all pixels down and up, farther and farther, and stops where that is adversarial. */
  class Flicker extends QueryAttack {
    readonly norm = Linf;
    readonly options = { maxQueries: 30 };
    protected override async query(queries: Queries): Promise<void> {
      const { task, best } = queries.search;
      const step = state(zeros([]), { name: "step" });
      const tries = state(zeros([task.count]), { batched: true, name: "tries" });
      const rounds = queries.rounds({
        settings: [step],
        ask: () => ({ images: best.originals.add(step).clip(...task.bounds), of: best.found.not() }),
        learn: ({ asked, hit }) => assign(tries, tries.add(asked.and(hit.not()).cast("f32"))),
      });
      await rounds.run(40, [Float32Array.from({ length: 40 }, (_, k) => ((-1) ** k * (k + 1)) / 10)], [0, 1]);
      const counts = [...(await tries.data())];
      const queried = [...(await queries.search.asked.data())];
      const found = await best.successes();
      expect(queried).toEqual(counts.map((count, i) => count + Number(found[i])));
    }
  }
  const own = await new Flicker().run(model, images, labels, { bounds: [-5, 6] });
  const other = await new Flicker().run(remote(model).box, images, labels, { bounds: [-5, 6] });
  expect(other.queries).toEqual(own.queries);
  expect(other.distances).toEqual(own.distances);
  expect(own.success.some(Boolean)).toBe(true);
  own.success.forEach((each, i) => {
    if (!each) expect(own.queries?.[i]).toBe(30);
    else expect(own.distances[i]).toBeCloseTo(((own.queries?.[i] ?? 0) - 1) / 10, 5);
  });
});

it.each<[string, (queries: Queries) => Promise<void>, string]>([
  [
    "questions of another shape",
    (queries) => queries.rounds({ ask: () => ({ images: zeros([3, FEATURES]) }) }).run(1, [], [0, 1]),
    "a question must be one image for each that is attacked, [12, 5]; given a tensor f32 [3, 5]",
  ],
  [
    "settings for other rounds",
    (queries) => queries.rounds({ settings: [state(zeros([]))], ask: () => ({ images }) }).run(2, [[1]], [0, 1]),
    "for each of their 1 settings as many values as there are rounds, 2",
  ],
  ["no rounds", (queries) => queries.rounds({ ask: () => ({ images }) }).run(0, [], [0, 1]), "the number of rounds"],
])("an attack of one's own is told of %s", async (_, ask, text) => {
  class Wrong extends QueryAttack {
    readonly norm = Linf;
    readonly options = {};
    protected override async query(queries: Queries): Promise<void> {
      await ask(queries);
    }
  }
  await expect(new Wrong().run(model, images, labels)).rejects.toThrow(text);
  await expect(new Wrong().run(remote(model).box, images, labels)).rejects.toThrow(text);
});

describe("what goes wrong", () => {
  class Limited extends Error {}
  const run = (predict: Predict, attack: Attack<Module | BlackBox> = new HopSkipJumpAttack({ steps: 2, seed: 1 })) =>
    attack.run(new BlackBox(predict, options), images, labels);
  /** Answers so often before it does something else. */
  const failing = (good: number, then: Predict): Predict => {
    let calls = 0;
    return async (values, shape, signal) => {
      calls += 1;
      if (calls > good) return await then(values, shape, signal);
      return Float32Array.from((await model.predict(tensor(values, shape))).held());
    };
  };

  it("an answer that is a tensor is told of its data", async () => {
    for (const logits of [tensor([[0, 1]]), await model.predict(images)]) {
      const thrown = run((() => logits) as unknown as Predict);
      await expect(thrown).rejects.toMatchObject({ code: "SHAPE_MISMATCH" });
      await expect(thrown).rejects.toThrow(/it gave a tensor f32 \[.*await logits\.data\(\)/);
    }
  });

  it.each([0, 1, 5])("what the function throws, after %i calls, ends the attack as it is", async (good) => {
    const error = new Limited("too many requests");
    const thrown = run(
      failing(good, () => {
        throw error;
      }),
    );
    await expect(thrown).rejects.toBe(error);
    await expect(run(failing(good, () => Promise.reject(error)))).rejects.toBe(error);
  });

  it("a function that throws before it makes a promise", async () => {
    const error = new Limited("no connection");
    await expect(
      run(() => {
        throw error;
      }),
    ).rejects.toBe(error);
  });

  it.each<[string, (count: number) => unknown, string, string]>([
    ["too few logits", (n) => new Float32Array(n * CLASSES - 1), "SHAPE_MISMATCH", "logits or"],
    ["too many logits", (n) => new Float32Array(n * CLASSES + 3), "SHAPE_MISMATCH", "logits or"],
    ["rows of other lengths", (n) => new Array(n).fill([1, 2]), "SHAPE_MISMATCH", "logits or"],
    ["nothing", () => undefined, "SHAPE_MISMATCH", "it gave undefined"],
    ["a number", () => 3, "SHAPE_MISMATCH", "it gave 3"],
    ["a record", () => ({ logits: [] }), "SHAPE_MISMATCH", "it gave { logits }"],
    ["texts", (n) => new Array(n * CLASSES).fill("1"), "INVALID_ARGUMENT", "must be numbers"],
    ["classes that there are not", (n) => new Array(n).fill(CLASSES), "LABEL_OUT_OF_RANGE", "from 0 to 2"],
    ["classes that are no integers", (n) => new Array(n).fill(0.5), "LABEL_OUT_OF_RANGE", "from 0 to 2"],
  ])("%s in the place of an answer", async (_, answer, code, text) => {
    for (const good of [0, 1, 4]) {
      const error = await run(failing(good, (_values, [n = 0]) => answer(n) as Float32Array)).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(TslipError);
      expect((error as TslipError).code).toBe(code);
      expect((error as TslipError).message).toContain(text);
    }
  });

  it("NaN for an image tells no class of it: an error for what is attacked, and nothing found elsewhere", async () => {
    const nan = (_: Float32Array, [n = 0]: readonly number[]) => new Float32Array(n * CLASSES).fill(Number.NaN);
    await expect(run(nan)).rejects.toThrow("the model gives sample 0 no class");
    const { success, raw } = await run(failing(1, nan), new SaltAndPepperNoiseAttack({ steps: 5, seed: 1 }));
    expect(success.some(Boolean)).toBe(false);
    expect(raw.dataSync()).toEqual(images.dataSync());
  });

  it.each([0, 3])(
    "a function that never answers, after %i calls, is waited for until the signal is aborted",
    async (good) => {
      const controller = new AbortController();
      const reason = new Error("enough");
      const box = new BlackBox(
        failing(good, () => {
          controller.abort(reason);
          return new Promise(() => undefined);
        }),
        options,
      );
      const running = new HopSkipJumpAttack({ steps: 2, seed: 1 }).run(box, images, labels, {
        signal: controller.signal,
      });
      await expect(running).rejects.toBe(reason);
    },
  );

  it("an answer that fails once nobody waits for it ends nothing", async () => {
    const controller = new AbortController();
    const box = new BlackBox(
      failing(1, async () => {
        controller.abort(new Error("enough"));
        await setTimeout(5);
        throw new Error("late");
      }),
      options,
    );
    const running = new HopSkipJumpAttack({ seed: 1 }).run(box, images, labels, { signal: controller.signal });
    await expect(running).rejects.toThrow("enough");
    await setTimeout(20);
  });

  it("what onProgress throws ends the attack", async () => {
    const error = new Limited("closed");
    const running = new HopSkipJumpAttack({ steps: 2, seed: 1 }).run(remote(model).box, images, labels, {
      onProgress: () => {
        throw error;
      },
    });
    await expect(running).rejects.toBe(error);
  });

  it("attacks that need gradients, and images of another shape, are refused before anything is asked", async () => {
    const { box, calls } = remote(model);
    const gradients = new L2FastGradientAttack() as unknown as QueryAttack;
    await expect(gradients.run(box, images, labels)).rejects.toThrow("L2FastGradientAttack needs gradients");
    const attack = new HopSkipJumpAttack();
    await expect(attack.run(box, tensor(new Float32Array(12), [2, 6]), [0, 0])).rejects.toThrow(
      "the BlackBox takes images [n, 5]; given [2, 6]",
    );
    await expect(attack.run((() => 0) as unknown as BlackBox, images, labels)).rejects.toThrow("Module or a BlackBox");
    expect(calls).toEqual([]);
  });

  it("a black box of anything but a function, and options that do not fit", () => {
    const make = (predict: unknown, more: unknown) => () => new BlackBox(predict as Predict, more as BlackBoxOptions);
    const answer: Predict = () => [];
    expect(make(model, options)).toThrow("takes a function");
    expect(make(answer, undefined)).toThrow("shape must be that of one image");
    expect(make(answer, { ...options, shape: [0] })).toThrow("shape must be that of one image");
    expect(make(answer, { ...options, classes: 1 })).toThrow("classes");
    expect(make(answer, { ...options, batchSize: 0 })).toThrow("batchSize");
    expect(make(answer, { ...options, channels: 3 })).toThrow('has no option "channels"');
  });

  it("an initAttack that needs gradients", () => {
    const gradients = new L2FastGradientAttack() as unknown as QueryAttack;
    expect(() => new BoundaryAttack({ initAttack: gradients })).toThrow("initAttack must be an attack that asks alone");
  });
});
