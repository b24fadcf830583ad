// standardSuite: attacks one after another until brackets are closed, and what warns of distances that are too large.
import {
  Adam,
  Attack,
  CrossEntropyLoss,
  certify,
  compile,
  DDNAttack,
  fit,
  fromArrays,
  GroupSort2,
  L2,
  L2SquareAttack,
  LinfPGD,
  Module,
  manualSeed,
  rand,
  randn,
  type Search,
  Sequential,
  SpectralLinear,
  SuperDeepFoolAttack,
  standardAttacks,
  standardSuite,
  type Tensor,
  tensor,
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
const x = tensor(points, [SAMPLES, 2]);
let model: Sequential;

beforeAll(async () => {
  manualSeed(1);
  model = new Sequential([new SpectralLinear(2, 8), new GroupSort2(), new SpectralLinear(8, CLASSES)]);
  const data = fromArrays(points, [SAMPLES, 2], labels);
  const loss = new CrossEntropyLoss();
  await fit(model, data, { epochs: 30, batchSize: 15, loss, optimizer: new Adam({ lr: 0.05 }), verbose: false });
});

/** Counts the images that it is given, and finds what another attack does. */
class Counting extends Attack {
  readonly norm = L2;
  readonly given: number[] = [];
  readonly #of: Attack;

  constructor(of: Attack) {
    super();
    this.#of = of;
  }

  protected async search(search: Search): Promise<void> {
    this.given.push(search.task.count);
    await (this.#of as Counting).search(search);
  }
}

describe("standardSuite", () => {
  it("keeps for each image the nearest of all attacks, with its adversarial", async () => {
    const attacks = [new DDNAttack({ steps: 40 }), new SuperDeepFoolAttack(), new DDNAttack({ steps: 300 })];
    const { brackets, adversarials, warnings } = await standardSuite(model, x, labels, { attacks, bounds, ratio: 1 });
    const network = model.vanillaExport().eval();
    const results = await Promise.all(attacks.map((one) => one.run(network, x, labels, { bounds })));
    const certificates = await certify(network, x);
    const classes = await network.classify(adversarials);
    const moved = adversarials.dataSync();
    brackets.forEach(({ predicted, radius, distance, attack }, i) => {
      const distances = results.map((result) => result.distances[i] ?? Number.NaN);
      expect([predicted, radius]).toEqual([certificates[i]?.predicted, certificates[i]?.radius]);
      expect(distance).toBe(predicted === labels[i] ? Math.min(...distances) : 0);
      expect(attack).toBe(predicted === labels[i] ? distances.indexOf(distance) : -1);
      expect(L2.between(moved.subarray(2 * i, 2 * i + 2), points.subarray(2 * i, 2 * i + 2))).toBe(distance);
      expect(classes[i]).not.toBe(labels[i]);
    });
    expect(warnings).toEqual([]);
  });

  it("leaves an image alone once its bracket is closed to the ratio, and one that is told wrong", async () => {
    const ratio = 0.8;
    const first = new DDNAttack({ steps: 40 });
    const second = new Counting(new DDNAttack({ steps: 100 }));
    const before = await standardSuite(model, x, labels, { attacks: [first], bounds });
    const found = await standardSuite(model, x, labels, { attacks: [first, second], bounds, ratio });
    const open = before.brackets.filter(({ radius, distance }) => distance > 0 && radius < ratio * distance);
    expect(open.length).toBeGreaterThan(0);
    expect(open.length).toBeLessThan(before.brackets.filter(({ distance }) => distance > 0).length);
    expect(second.given).toEqual([open.length]);
    found.brackets.forEach((bracket, i) => {
      if (!open.includes(before.brackets[i] as never)) expect(bracket).toEqual(before.brackets[i]);
    });
  });

  it("finds the same of an image alone, and tells of progress that only grows", async () => {
    const shares: number[] = [];
    const options = { attacks: standardAttacks(), bounds };
    const all = await standardSuite(model, x, labels, { ...options, onProgress: (share) => shares.push(share) });
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
    for (const i of [0, 7, 31]) {
      const one = await standardSuite(model, x.slice([i], [i + 1]), [labels[i] ?? 0], options);
      expect(one.brackets).toEqual([all.brackets[i]]);
    }
  });

  it("takes attacks from the cheapest to the dearest by default, and stops when it is told to", async () => {
    const names = standardAttacks().map((one) => one.constructor.name);
    expect([names[0], names.at(-1)]).toEqual([SuperDeepFoolAttack.name, L2SquareAttack.name]);
    const stop = new AbortController();
    const ended = standardSuite(model, x, labels, {
      bounds,
      signal: stop.signal,
      onProgress: (share) => {
        if (share > 0.3) stop.abort(new Error("enough"));
      },
    });
    await expect(ended).rejects.toThrow("enough");
  });

  it("refuses other options, labels and images", async () => {
    for (const call of [
      () => standardSuite({} as Module, x, labels),
      () => standardSuite(model, x, labels, { bounds, ratio: 0 }),
      () => standardSuite(model, x, labels, { bounds, ratio: 1.5 }),
      () => standardSuite(model, x, labels, { bounds, attacks: [] }),
      () => standardSuite(model, x, labels, { bounds, attacks: [new LinfPGD()] }),
      () => standardSuite(model, x, labels, { bounds, steps: 3 } as never),
      () => standardSuite(model, x, labels, { bounds: [-0.1, 0.1] }),
    ]) {
      expect(await codeOf(call)).toBe("INVALID_ARGUMENT");
    }
    const unknown = labels.map((label, i) => (i === 5 ? 9 : label));
    expect(await codeOf(() => standardSuite(model, x, unknown, { bounds }))).toBe("LABEL_OUT_OF_RANGE");
  });
});

describe("A warning of standardSuite", () => {
  /** A function of logits behind the model. */
  class Behind extends Module {
    constructor(
      readonly inner: Module,
      readonly then: (logits: Tensor) => Tensor,
    ) {
      super();
    }
    forward(images: Tensor): Tensor {
      return this.then(this.inner.forward(images));
    }
    override vanillaExport(): Behind {
      return new Behind(this.inner.vanillaExport(), this.then);
    }
  }
  const attacks = [new DDNAttack({ steps: 200 })];
  const kinds = async (then: (logits: Tensor) => Tensor, more: readonly Attack[] = []): Promise<string[]> => {
    const all = { attacks: [...attacks, ...more], bounds };
    const { warnings } = await standardSuite(new Behind(model, then), x, labels, all);
    for (const { message } of warnings) expect(message.length).toBeGreaterThan(40);
    return warnings.map(({ kind }) => kind);
  };

  it("is not given of logits, but that a model without a bound has no certificates", async () => {
    const { brackets, warnings } = await standardSuite(new Behind(model, (y) => y.mul(2)), x, labels, {
      attacks,
      bounds,
    });
    expect(warnings).toMatchObject([{ kind: "uncertified", images: { length: SAMPLES } }]);
    expect(warnings[0]?.message).toMatch(/Behind/);
    expect(brackets.every(({ radius }) => radius === 0)).toBe(true);
    expect(brackets.some(({ distance }) => distance > 0 && distance < Infinity)).toBe(true);
  });

  it("is given of random results", async () => {
    expect(await kinds((y) => y.add(rand(y.shape).mul(0.01)))).toContain("random-outputs");
  });

  it("is given of probabilities, and not of numbers that merely add up to 1", async () => {
    expect(await kinds((y) => y.softmax(1))).toContain("softmaxed-outputs");
    expect(
      await kinds((y) =>
        y
          .softmax(1)
          .mul(3)
          .sub(2 / 3),
      ),
    ).not.toContain("softmaxed-outputs");
  });

  it("is given of gradients of 0, with the images, and of a black-box attack that finds what they hide", async () => {
    /** Goes to the nearest image of another class among all of the model's training points, as a search without gradients might. */
    class Grid extends Attack {
      readonly norm = L2;
      override readonly blackBox = true;
      protected async search({ task, best }: Search): Promise<void> {
        const offer = compile((images: Tensor) => {
          best.offer(images, task.model.forward(images));
          return {};
        });
        for (let turn = 0; turn < 24; turn++) {
          for (const radius of [0.2, 0.5, 1, 2]) {
            const angle = (2 * Math.PI * turn) / 24;
            const step = tensor([radius * Math.cos(angle), radius * Math.sin(angle)]);
            await offer(tensor(await task.images.add(step).clip(-4, 4).data(), task.images.shape));
          }
        }
      }
    }
    const stairs = (y: Tensor): Tensor => y.mul(4).floor();
    const more = [new Grid()];
    const { warnings, brackets } = await standardSuite(new Behind(model, stairs), x, labels, {
      attacks: [...attacks, ...more],
      bounds,
    });
    const of = (kind: string) => warnings.find((one) => one.kind === kind);
    expect(of("zero-gradients")?.images).toEqual(Array.from(labels, (_, i) => i));
    const won = of("black-box-wins")?.images ?? [];
    expect(won).toEqual(brackets.flatMap(({ attack }, i) => (attack === 1 ? [i] : [])));
    expect(won.length).toBeGreaterThan(0);
    expect(await kinds((y) => y.mul(2), more)).not.toContain("black-box-wins");
  });
});
