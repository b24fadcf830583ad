// The Carlini-Wagner attack on linear classifiers against the same search written as float64 loops, in foolbox's order.
import { type Bounds, L2CarliniWagnerAttack, Linear, randn, tensor } from "tslip";
import { describe, expect, it } from "vitest";

const [PIXELS, CLASSES, IMAGES] = [6, 4, 8];
/** Both searches make the same decisions; what is left is float32 rounding of pixels of order 1 over some hundred steps. */
const FLOAT32_SEARCH = 1e-5;

interface Options {
  binarySearchSteps: number;
  steps: number;
  stepsize: number;
  confidence: number;
  initialConst: number;
  abortEarly: boolean;
}

interface Problem {
  weight: number[][];
  bias: number[];
  images: number[][];
  /** The labels to leave or, in a targeted attack, the classes to reach. */
  classes: number[];
  targeted: boolean;
  bounds: Bounds;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const fill = <T>(make: (i: number) => T, length = IMAGES): T[] => Array.from({ length }, (_, i) => make(i));
const argmax = (values: readonly number[]): number => values.indexOf(Math.max(...values));
const at = <T>(values: readonly T[], i: number): T => {
  const value = values[i];
  if (value === undefined) throw new RangeError(`no entry ${i}`);
  return value;
};

const logitsOf = ({ weight, bias }: Problem, x: readonly number[]): number[] =>
  weight.map((row, k) => at(bias, k) + sum(row.map((w, i) => w * at(x, i))));

/** One image's minimization for one weight of misclassification; `loss` and `commit` are the halves of a step. */
class Descent {
  found = false;
  readonly #delta = fill(() => 0, PIXELS);
  readonly #moments = fill(() => ({ m: 0, v: 0 }), PIXELS);
  readonly #start: number[];
  #pixels: number[] = [];
  #logits: number[] = [];

  constructor(
    readonly p: Problem,
    readonly o: Options,
    readonly n: number,
    readonly weight: number,
  ) {
    this.#start = at(p.images, n).map((x) => Math.atanh(((x - this.#center) / this.#half) * 0.999999));
  }

  get #center(): number {
    return (this.p.bounds[0] + this.p.bounds[1]) / 2;
  }

  get #half(): number {
    return (this.p.bounds[1] - this.p.bounds[0]) / 2;
  }

  /** The loss at the current perturbation, which then takes step `t` (from 1) of Adam. */
  loss(t: number): number {
    const { p, o, n } = this;
    const inTanh = this.#start.map((w, i) => Math.tanh(w + at(this.#delta, i)));
    this.#pixels = inTanh.map((v) => v * this.#half + this.#center);
    this.#logits = logitsOf(p, this.#pixels);
    const chosen = at(p.classes, n);
    const other = argmax(this.#logits.map((y, k) => (k === chosen ? Number.NEGATIVE_INFINITY : y)));
    const [lower, raise] = p.targeted ? [other, chosen] : [chosen, other];
    const lead = at(this.#logits, lower) - at(this.#logits, raise) + o.confidence;
    const moved = this.#pixels.map((x, i) => x - (Math.tanh(at(this.#start, i)) * this.#half + this.#center));
    for (let i = 0; i < PIXELS; i++) {
      const push = lead > 0 ? this.weight * (at(at(p.weight, lower), i) - at(at(p.weight, raise), i)) : 0;
      const g = (2 * at(moved, i) + push) * this.#half * (1 - at(inTanh, i) ** 2);
      const moments = at(this.#moments, i);
      moments.m = 0.9 * moments.m + 0.1 * g;
      moments.v = 0.999 * moments.v + 0.001 * g * g;
      const scale = Math.sqrt(moments.v / (1 - 0.999 ** t)) + 1e-8;
      this.#delta[i] = at(this.#delta, i) - (o.stepsize * (moments.m / (1 - 0.9 ** t))) / scale;
    }
    return Math.max(0, lead) * this.weight + sum(moved.map((d) => d * d));
  }

  /** Distance of the image that the loss was computed at, or Infinity where it is not yet what the attack wants. */
  commit(): number {
    const { p, o, n } = this;
    if (!wanted(p, o, n, this.#logits)) return Number.POSITIVE_INFINITY;
    this.found = true;
    return Math.hypot(...this.#pixels.map((x, i) => x - at(at(p.images, n), i)));
  }
}

/** Distance of the nearest adversarial found for each image, each by itself; Infinity where there is none. */
function reference(p: Problem, o: Options): number[] {
  const best = fill(() => Number.POSITIVE_INFINITY);
  const lower = fill(() => 0);
  const upper = fill(() => Number.POSITIVE_INFINITY);
  let weights = fill(() => o.initialConst);
  for (let round = 0; round < o.binarySearchSteps; round++) {
    if (round === o.binarySearchSteps - 1 && o.binarySearchSteps >= 10) weights = upper.map((c) => Math.min(c, 1e10));
    const descents = weights.map((c, n) => new Descent(p, o, n, Math.fround(c)));
    for (const [n, descent] of descents.entries()) {
      let previous = Number.POSITIVE_INFINITY;
      for (let step = 0; step < o.steps; step++) {
        const loss = descent.loss(step + 1);
        if (o.abortEarly && step % Math.ceil(o.steps / 10) === 0) {
          if (!(loss <= 0.9999 * previous)) break;
          previous = loss;
        }
        best[n] = Math.min(at(best, n), descent.commit());
      }
    }
    for (const [n, { found }] of descents.entries()) (found ? upper : lower)[n] = at(weights, n);
    weights = weights.map((c, n) => (Number.isFinite(at(upper, n)) ? (at(lower, n) + at(upper, n)) / 2 : c * 10));
  }
  return best.map((distance, n) => (wanted(p, o, n, logitsOf(p, at(p.images, n))) ? 0 : distance));
}

/** Whether these logits of an image are what is wanted of it. */
function wanted(p: Problem, o: Options, n: number, logits: readonly number[]): boolean {
  const chosen = at(p.classes, n);
  const shift = p.targeted ? -o.confidence : o.confidence;
  return (argmax(logits.map((y, k) => (k === chosen ? y + shift : y))) === chosen) === p.targeted;
}

function problem(seed: number, targeted: boolean, bounds: Bounds): Problem & { labels: number[] } {
  const rows = (count: number, size: number, s: number): number[][] => {
    const values = Array.from(randn([count, size], { seed: s }).dataSync());
    return fill((i) => values.slice(i * size, (i + 1) * size), count);
  };
  const weight = rows(CLASSES, PIXELS, seed);
  const bias = at(rows(1, CLASSES, seed + 1), 0).map((b) => Math.fround(0.2 * b));
  // Squashed into the bounds, away from their ends, where float32 loses atanh.
  const [low, high] = bounds;
  const images = rows(IMAGES, PIXELS, seed + 2).map((row) =>
    row.map((z) => Math.fround(low + (high - low) * (0.5 + 0.45 * Math.tanh(z)))),
  );
  const base = { weight, bias, images, classes: [], targeted, bounds };
  const predicted = images.map((x) => argmax(logitsOf(base, x)));
  // Without targets the first image starts misclassified; with targets the second already is where it should be.
  const labels = predicted.map((k, n) => (n === 0 ? (k + 1) % CLASSES : k));
  const targets = predicted.map((k, n) => (n === 1 ? k : (k + 1 + (n % (CLASSES - 1))) % CLASSES));
  return { ...base, labels, classes: targeted ? targets : labels };
}

const searches: [string, Pick<Options, "binarySearchSteps" | "steps" | "stepsize" | "abortEarly">][] = [
  ["aborting early", { binarySearchSteps: 5, steps: 200, stepsize: 0.01, abortEarly: true }],
  ["never aborting", { binarySearchSteps: 5, steps: 200, stepsize: 0.01, abortEarly: false }],
  ["repeating the last of ten searches", { binarySearchSteps: 10, steps: 60, stepsize: 0.01, abortEarly: true }],
  ["fewer steps than checks", { binarySearchSteps: 4, steps: 7, stepsize: 0.01, abortEarly: true }],
  ["with strides that end a search at once", { binarySearchSteps: 6, steps: 10, stepsize: 0.5, abortEarly: true }],
];

describe.each(searches)("L2CarliniWagnerAttack, %s,", (_, search) => {
  const cases: [string, boolean, number, Bounds][] = [
    ["any other class", false, 0, [0, 1]],
    ["a target", true, 0, [0, 1]],
    ["another class, with confidence", false, 0.4, [0, 1]],
    ["a target in other bounds, with confidence", true, 0.4, [-1, 2]],
  ];
  it.each(cases)("finds what float64 loops find: %s", async (_case, targeted, confidence, bounds) => {
    const p = problem(50 + 7 * search.steps, targeted, bounds);
    const options: Options = { ...search, confidence, initialConst: 0.01 };
    const model = new Linear(PIXELS, CLASSES);
    model.loadStateDict({ weight: tensor(p.weight), bias: tensor(p.bias) });
    const { distances, success } = await new L2CarliniWagnerAttack(options).run(model, tensor(p.images), p.labels, {
      bounds,
      ...(targeted ? { targets: p.classes } : {}),
    });
    const expected = reference(p, options);
    expect(success).toEqual(expected.map(Number.isFinite));
    expect(expected.some(Number.isFinite)).toBe(true);
    expected.forEach((want, n) => {
      const got = at(Array.from(distances), n);
      if (Number.isFinite(want)) expect(Math.abs(got - want)).toBeLessThan(FLOAT32_SEARCH);
      else expect(got).toBe(Number.POSITIVE_INFINITY);
    });
  });
});
