// Brackets of certificates and attacks, accuracies within radii, and answers that are certain.
import {
  ABSTAIN,
  Adam,
  Attack,
  audit,
  type Bracket,
  type Certificate,
  Certifier,
  CrossEntropyLoss,
  certify,
  compile,
  DDNAttack,
  fit,
  fromArrays,
  GroupSort2,
  guard,
  L2,
  L2AdditiveGaussianNoiseAttack,
  L2FMNAttack,
  Linear,
  LinfPGD,
  type Module,
  manualSeed,
  type RobustAccuracyOptions,
  type RobustProgress,
  type RobustProgressJson,
  type Rounding,
  randn,
  robustAccuracy,
  type Search,
  Sequential,
  SpectralLinear,
  standardSuite,
  type Tensor,
  tensor,
  ViolationError,
} from "tslip";
import { beforeAll, describe, expect, it } from "vitest";
import { silenceWarnings } from "../soundness/custom.js";
import { codeOf } from "../train/subset.js";

silenceWarnings();

const CLASSES = 3;
const SAMPLES = 45;
const bounds = [-4, 4] as const;
const labels = Int32Array.from({ length: SAMPLES }, (_, i) => i % CLASSES);
const points = Float32Array.from(randn([SAMPLES, 2], { seed: 3 }).dataSync(), (noise, k) => {
  const angle = (2 * Math.PI * (labels[k >> 1] ?? 0)) / CLASSES;
  return 1.5 * (k % 2 === 0 ? Math.cos(angle) : Math.sin(angle)) + 0.6 * noise;
});
const data = fromArrays(points, [SAMPLES, 2], labels, { classNames: ["a", "b", "c"] });
let model: Sequential;

beforeAll(async () => {
  manualSeed(1);
  model = new Sequential([new SpectralLinear(2, 8), new GroupSort2(), new SpectralLinear(8, CLASSES)]);
  const loss = new CrossEntropyLoss();
  await fit(model, data, { epochs: 30, batchSize: 15, loss, optimizer: new Adam({ lr: 0.05 }), verbose: false });
});

const share = (brackets: readonly Bracket[], holds: (one: Bracket) => boolean): number =>
  brackets.filter((one) => one.predicted === one.label && holds(one)).length / brackets.length;

describe("audit", () => {
  it("gives of each image its certificate and the nearest that any attack finds", async () => {
    const x = tensor(points, [SAMPLES, 2]);
    const attacks = [new DDNAttack({ steps: 50 }), new L2FMNAttack({ steps: 100 })];
    const brackets = await audit(model, x, labels, { attacks, bounds });
    const certificates = await certify(model.vanillaExport(), x);
    const found = await Promise.all(attacks.map((one) => one.run(model.vanillaExport().eval(), x, labels, { bounds })));
    brackets.forEach(({ predicted, label, radius, distance, attack }, i) => {
      expect([predicted, label, radius]).toEqual([certificates[i]?.predicted, labels[i], certificates[i]?.radius]);
      const distances = found.map((result) => result.distances[i] ?? Number.NaN);
      expect(distance).toBe(predicted === label ? Math.min(...distances) : 0);
      expect(attack).toBe(predicted !== label ? -1 : distances.indexOf(Math.min(...distances)));
      if (predicted === label) expect(distance).toBeGreaterThanOrEqual(radius);
    });
    expect(share(brackets, ({ distance }) => distance < Number.POSITIVE_INFINITY)).toBeGreaterThan(0.5);
  });

  it("throws where a certificate is beaten, with what it takes to find that again", async () => {
    /** Claims a hundredth of its bound. */
    class Liar extends Linear {
      override lipschitzBound(): number {
        return super.lipschitzBound() / 100;
      }
      override rounding(results: number): Rounding {
        return super.rounding(results) as Rounding;
      }
      override vanillaExport(): this {
        return this;
      }
    }
    const liar = new Liar(2, 2, { bias: false }, { weight: tensor([1, 0, 0, 1], [2, 2]), bias: undefined });
    const attack = new DDNAttack({ steps: 100 });
    // The first is told wrong, which is no attack's.
    const x = tensor([0, 3, 1, 0.5], [2, 2]);
    const error = await audit(liar, x, [0, 0], { attacks: [attack], bounds }).catch((one: unknown) => one);
    expect(error).toBeInstanceOf(ViolationError);
    const { index, certificate, bracket, image, adversarial, code, message } = error as ViolationError;
    expect([code, (error as ViolationError).attack]).toEqual(["VIOLATION", attack]);
    expect(message).toMatch(
      /DDNAttack changes the class of image 1 at a distance of .*, below its certified radius of/,
    );
    expect(Array.from(image.dataSync())).toEqual([1, 0.5]);
    const moved = adversarial.dataSync();
    expect(Math.hypot((moved[0] ?? 0) - 1, (moved[1] ?? 0) - 0.5)).toBeCloseTo(bracket.distance, 6);
    expect(bracket.distance).toBeLessThan(certificate.radius);
    expect([index, (await liar.classify(adversarial))[0]]).toEqual([1, 1]);
  });

  it("names the place of a sample in the data set, whatever batch that is in", async () => {
    const honest = new Linear(2, 2, { bias: false }, { weight: tensor([1, 0, 0, 1], [2, 2]), bias: undefined });
    class Liar extends Sequential {
      override lipschitzBound(): number {
        return 0.01;
      }
      override rounding(): Rounding {
        return { roundings: 5, offset: 0 };
      }
      override forward(x: Tensor): Tensor {
        return honest.forward(x);
      }
      override vanillaExport(): Sequential {
        return this;
      }
    }
    // The first two are told wrong.
    const set = fromArrays(Float32Array.of(0, 3, 0, 2, 3, 0, 1, 0.5), [4, 2], [0, 0, -1, 0], { ignoreIndex: -1 });
    const options = { attacks: [new DDNAttack({ steps: 100 })], bounds: [-4, 4] as const, batchSize: 2 };
    const error = await robustAccuracy(new Liar([honest], { constrained: false }), set, [0.1], options).catch(
      (one: unknown) => one,
    );
    expect(error).toBeInstanceOf(ViolationError);
    expect((error as ViolationError).index).toBe(3);
    expect((error as ViolationError).message).toMatch(/of image 3 /);
  });

  it("takes attacks in the norm of certificates alone, and one at least", async () => {
    const x = tensor([1, 0.5], [1, 2]);
    for (const attacks of [[], [new LinfPGD()], "DDN" as never, [{}] as never]) {
      await expect(audit(model, x, [0], { attacks })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
    await expect(audit(model, x, [0], { attacks: [new LinfPGD()] })).rejects.toThrow(/LinfP.*, which is one in Linf/);
    expect(await codeOf(() => audit({} as Module, x, [0], { attacks: [new DDNAttack()] }))).toBe("INVALID_ARGUMENT");
  });
});

describe("what is given", () => {
  /** Nearest points found, and the labels that are given, which change as soon as the call is under way. */
  const calls: [
    string,
    (
      x: Tensor,
      given: { labels: number[]; bounds: [number, number]; attacks: Attack[] },
    ) => Promise<readonly Bracket[]>,
  ][] = [
    ["audit", (x, { labels: classes, ...options }) => audit(model, x, classes, options)],
    [
      "standardSuite",
      async (x, { labels: classes, ...options }) => (await standardSuite(model, x, classes, options)).brackets,
    ],
  ];

  it.each(calls)("to %s may change while it works", async (_, call) => {
    const x = tensor(points, [SAMPLES, 2]);
    const make = () => ({
      labels: Array.from(labels),
      bounds: [-4, 4] as [number, number],
      attacks: [new DDNAttack({ steps: 20 })],
    });
    const expected = await call(x, make());
    const given = make();
    const under = call(x, given);
    given.labels.fill(0);
    given.bounds[1] = 0;
    given.attacks.length = 0;
    expect(await under).toEqual(expected);
  });

  it.each(calls)("to %s as labels is one for each image", async (_, call) => {
    const given = { labels: [0, 1], bounds: [-4, 4] as [number, number], attacks: [new DDNAttack({ steps: 2 })] };
    await expect(call(tensor([1, 0.5], [1, 2]), given)).rejects.toMatchObject({ code: "SHAPE_MISMATCH" });
    await expect(call(tensor([1, 0.5], [1, 2]), { ...given, labels: 3 as never })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});

it("brackets are proved with the effort that is asked for", async () => {
  const x = tensor(points.slice(0, 12), [6, 2]);
  const attacks = [new DDNAttack({ steps: 5 })];
  const certificates = await certify(model.vanillaExport(), x, { effort: "local" });
  expect(certificates.some(({ effort }) => effort === "local")).toBe(true);
  const options = { attacks, bounds, effort: "local" } as const;
  for (const brackets of [
    await audit(model, x, labels.slice(0, 6), options),
    (await standardSuite(model, x, labels.slice(0, 6), options)).brackets,
  ]) {
    expect(brackets.map(({ radius }) => radius)).toEqual(certificates.map(({ radius }) => radius));
  }
});

describe("robustAccuracy", () => {
  const radii = [0, 0.1, 0.5, 1];

  it("counts what brackets say, of all and of each class, whatever the batches are", async () => {
    const attacks = [new DDNAttack({ steps: 60 })];
    const found = await robustAccuracy(model, data, radii, { attacks, bounds, batchSize: 7 });
    const whole = await audit(model, tensor(points, [SAMPLES, 2]), labels, { attacks, bounds });
    expect(found.brackets).toEqual(whole);
    expect(found.samples).toBe(SAMPLES);
    expect(found.clean).toBe(share(whole, () => true));
    expect(found.certified).toEqual(radii.map((r) => share(whole, ({ radius }) => radius >= r)));
    expect(found.empirical).toEqual(radii.map((r) => share(whole, ({ distance }) => distance >= r)));
    found.certified.forEach((proved, i) => expect(proved).toBeLessThanOrEqual(found.empirical?.[i] ?? Number.NaN));
    expect(found.certified[0]).toBe(found.clean);
    const sum = whole.reduce((all, one) => all + (one.predicted === one.label ? one.radius : 0), 0);
    expect(found.meanRadius).toBeCloseTo(sum / SAMPLES, 12);
    expect(found.classes.map(({ name, samples }) => [name, samples])).toEqual([
      ["a", 15],
      ["b", 15],
      ["c", 15],
    ]);
    expect(found.classes.reduce((all, one) => all + one.clean * one.samples, 0)).toBeCloseTo(found.clean * SAMPLES, 9);
  });

  it("without attacks certifies alone, and leaves out samples that do not count", async () => {
    const some = Int32Array.from(labels, (label, i) => (i % 4 === 0 || i < 8 ? -1 : label));
    const partly = fromArrays(points, [SAMPLES, 2], some, { ignoreIndex: -1 });
    const found = await robustAccuracy(model, partly, radii, { batchSize: 4 });
    const counted = found.brackets.filter(({ label }) => label !== -1);
    expect(found.empirical).toBeUndefined();
    expect([found.samples, found.brackets.length]).toEqual([some.filter((label) => label >= 0).length, SAMPLES]);
    expect(found.certified).toEqual(radii.map((r) => share(counted, ({ radius }) => radius >= r)));
  });

  it("goes on where it was ended, and tells of progress", async () => {
    const attacks = [new DDNAttack({ steps: 20 })];
    const whole = await robustAccuracy(model, data, radii, { attacks, bounds, batchSize: 10 });
    const stop = new AbortController();
    let [kept, last]: [RobustProgressJson, number] = [{ attacks: [], brackets: [] }, 0];
    const onProgress = (done: number, progress: RobustProgress): void => {
      expect(done).toBeGreaterThanOrEqual(last);
      [kept, last] = [JSON.parse(JSON.stringify(progress)), done];
      if (progress.brackets.length === 20) stop.abort(new Error("enough"));
    };
    const options = { attacks, bounds, batchSize: 10 };
    const ended = robustAccuracy(model, data, radii, { ...options, onProgress, signal: stop.signal });
    await expect(ended).rejects.toThrow("enough");
    expect(kept.brackets).toHaveLength(20);
    expect(await robustAccuracy(model, data, radii, { ...options, resume: kept })).toEqual(whole);
    // Far from all borders an attack of one step finds nothing.
    const weak = { attacks: [new L2AdditiveGaussianNoiseAttack({ seed: 1, binarySearchSteps: 1 })], bounds };
    const failed = await robustAccuracy(model, data, radii, weak);
    const right = failed.brackets.filter(({ predicted, label }) => predicted === label);
    expect(right.some(({ distance }) => distance === Number.POSITIVE_INFINITY)).toBe(true);
    expect(await robustAccuracy(model, data, radii, { ...weak, resume: failed })).toEqual(failed);
    const read = JSON.parse(JSON.stringify(failed));
    expect(await robustAccuracy(model, data, radii, { ...weak, resume: read })).toEqual(failed);
  });

  it("tells what was known when it tells, which later work does not change", async () => {
    const told: RobustProgress[] = [];
    const onProgress = (_: number, progress: RobustProgress): void => void told.push(progress);
    await robustAccuracy(model, data, radii, { batchSize: 15, onProgress });
    expect(told.map(({ brackets }) => brackets.length)).toEqual([15, 30, 45]);
  });

  it("resumes nothing that other attacks found, or none", async () => {
    const attacks = [new DDNAttack({ steps: 20 }), new L2FMNAttack({ steps: 10 })];
    const options = { attacks, bounds };
    const other: [RobustAccuracyOptions, RegExp][] = [
      [{}, /attack 0 was none, and is DDNAttack/],
      [{ attacks: attacks.slice(0, 1), bounds }, /attack 1 was none, and is L2FMNAttack/],
      [{ attacks: [...attacks, new DDNAttack()], bounds }, /attack 2 was DDNAttack .*, and is none/],
      [
        { attacks: [new DDNAttack({ steps: 21 }), ...attacks.slice(1)], bounds },
        /attack 0 was .*"steps":21.* is .*"steps":20/,
      ],
      [{ attacks, bounds: [-5, 5] }, /attack 0 was .* within \[-5, 5\], and is .* within \[-4, 4\]/],
    ];
    for (const [given, message] of other) {
      const resume = await robustAccuracy(model, data.subset([0]), radii, given);
      const call = robustAccuracy(model, data, radii, { ...options, resume });
      await expect(call).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringMatching(message) });
    }
  });

  it("resumes nothing but brackets of its samples, whole ones", async () => {
    const attacks = [new DDNAttack({ steps: 20 })];
    const few = data.subset([...labels.keys()].slice(0, 12));
    const { attacks: names, brackets } = await robustAccuracy(model, few, radii, { attacks, bounds });
    const at = brackets.findIndex(({ attack }) => attack === 0);
    expect(at).toBeGreaterThanOrEqual(0);
    const { radius } = brackets[at] as Bracket;
    for (const wrong of [
      { label: 1 + (labels[at] ?? 0) },
      { predicted: undefined },
      { predicted: CLASSES },
      { predicted: (1 + (labels[at] ?? 0)) % CLASSES },
      { predicted: -1, radius: 0, distance: 0, attack: -1 },
      { radius: null },
      { radius: -1 },
      { radius: "0.1" },
      { radius: Number.NaN },
      { distance: null },
      { distance: radius / 2 },
      { distance: Number.POSITIVE_INFINITY },
      { attack: 1 },
      { attack: -1 },
      { attack: 0.5 },
    ]) {
      const given = brackets.map((one, i) => (i === at ? { ...one, ...wrong } : one)) as Bracket[];
      const call = robustAccuracy(model, few, radii, { attacks, bounds, resume: { attacks: names, brackets: given } });
      await expect(call, JSON.stringify(wrong)).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        message: expect.stringMatching(new RegExp(`resume must have brackets .* that of sample ${at}, of label`)),
      });
    }
    for (const resume of [brackets, [{ label: 0 }], {}, null, { attacks: names, brackets: [{ label: 0 }] }]) {
      const call = robustAccuracy(model, few, radii, { attacks, bounds, resume: resume as never });
      await expect(call).rejects.toThrow(/resume must/);
    }
    const resume = { attacks: names, brackets };
    await expect(robustAccuracy(model, data.subset([0]), radii, { attacks, bounds, resume })).rejects.toThrow(
      /which has 1; given 12/,
    );
  });

  it("resumes samples that do not count", async () => {
    const partly = fromArrays(
      points,
      [SAMPLES, 2],
      Int32Array.from(labels, (label, i) => (i % 4 === 0 ? -1 : label)),
      {
        ignoreIndex: -1,
      },
    );
    const whole = await robustAccuracy(model, partly, radii, { batchSize: 10 });
    const resume = { ...whole, brackets: whole.brackets.slice(0, 10) };
    expect(await robustAccuracy(model, partly, radii, { resume })).toEqual(whole);
  });

  it("refuses a class that the model has no logit for, with attacks and without", async () => {
    const more = fromArrays(
      points,
      [SAMPLES, 2],
      Int32Array.from(labels, (label, i) => (i === 40 ? CLASSES : label)),
    );
    for (const attacks of [[], [new DDNAttack({ steps: 2 })]]) {
      await expect(robustAccuracy(model, more, radii, { attacks, bounds })).rejects.toMatchObject({
        code: "LABEL_OUT_OF_RANGE",
        message: "sample 40 has the label 3; the model has 3 classes, from 0 on",
      });
    }
  });

  it("certifies with the effort that is asked for", async () => {
    const few = data.subset([...labels.keys()].slice(0, 9));
    const [fast, local] = [
      await robustAccuracy(model, few, radii),
      await robustAccuracy(model, few, radii, { effort: 20 }),
    ];
    const certificates = await certify(model.vanillaExport(), few.batch(0, 9).images, { effort: 20 });
    expect(local.brackets.map(({ radius }) => radius)).toEqual(certificates.map(({ radius }) => radius));
    expect(local.meanRadius).toBeGreaterThan(fast.meanRadius);
    await expect(robustAccuracy(model, few, radii, { effort: 0 })).rejects.toThrow(/effort must be "fast", "local"/);
  });

  it("refuses what is no radius, no class and no attack of the norm of certificates", async () => {
    const numbers = fromArrays(
      points,
      [SAMPLES, 2],
      Array.from(labels, (label) => [label + 0.5]),
    );
    for (const call of [
      () => robustAccuracy(model, data, [-1]),
      () => robustAccuracy(model, data, 0.5 as never),
      ...["0.1", null, true, [0], Number.NaN, Number.POSITIVE_INFINITY].map(
        (radius) => () => robustAccuracy(model, data, [0.1, radius as never]),
      ),
      () => robustAccuracy(model, data, [0.5], { bounds: [1, 0] }),
      () => robustAccuracy(model, data, [0.5], { attacks: [new LinfPGD()] }),
      () => robustAccuracy({} as Module, data, [0.5]),
      () => robustAccuracy(model, numbers, [0.5]),
    ]) {
      expect(await codeOf(call)).toBe("INVALID_ARGUMENT");
    }
  });
});

describe("a guard", () => {
  it("certifies with the effort that is asked for, one of a Certifier with its own otherwise", async () => {
    const x = tensor(points.slice(0, 18), [9, 2]);
    const [fast, local] = [await certify(model, x), await certify(model, x, { effort: "local" })];
    const at = local.findIndex(({ radius }, i) => radius > (fast[i]?.radius ?? 0));
    expect(at).toBeGreaterThanOrEqual(0);
    const radius = local[at]?.radius ?? 0;
    const certifier = new Certifier(model, { effort: "local" });
    const answers = [
      guard(model, { radius }),
      guard(model, { radius, effort: "local" }),
      certifier.guard({ radius }),
      certifier.guard({ radius, effort: "fast" }),
    ].map(async (guarded) => (await guarded(x))[at]);
    const { predicted } = local[at] as Certificate;
    expect(await Promise.all(answers)).toEqual([ABSTAIN, predicted, predicted, ABSTAIN]);
    expect(await codeOf(async () => guard(model, { radius, effort: 0 }))).toBe("INVALID_ARGUMENT");
  });

  it("gives the class where its radius is as large as asked, in units of the input or in grey levels", async () => {
    const x = tensor(points, [SAMPLES, 2]);
    const certificates = await certify(model, x);
    for (const options of [{ radius: 0.3 }, { radius: 0.3 * 255, unit: "grey" as const }, { radius: 0 }]) {
      const least = options.radius / ("unit" in options ? 255 : 1);
      const answers = await guard(model, options)(x);
      expect(answers).toEqual(certificates.map((one) => (one.radius >= least ? one.predicted : ABSTAIN)));
    }
    expect(await guard(model, { radius: 1e9 })(x)).toEqual(certificates.map(() => ABSTAIN));
    expect(await codeOf(async () => guard(model, { radius: -1 }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(async () => guard({} as Module, { radius: 1 }))).toBe("INVALID_ARGUMENT");
  });
});

it("an attack of one's own in the L2 norm takes part", async () => {
  class Mirror extends Attack {
    readonly norm = L2;
    protected async search({ task, best }: Search): Promise<void> {
      const mirrored = task.images.neg();
      const program = compile(() => {
        best.offer(mirrored, task.model.forward(mirrored));
        return {};
      });
      await program();
    }
  }
  const x = tensor(points, [SAMPLES, 2]);
  const classes = await model.classify(x.neg());
  const brackets = await audit(model, x, labels, { attacks: [new Mirror()], bounds });
  brackets.forEach(({ predicted, label, attack, distance }, i) => {
    const hit = predicted === label && classes[i] !== label;
    expect(attack).toBe(hit ? 0 : -1);
    if (hit) expect(distance).toBeCloseTo(2 * Math.hypot(points[2 * i] ?? 0, points[2 * i + 1] ?? 0), 5);
  });
  expect(brackets.some(({ attack }) => attack === 0)).toBe(true);
});
