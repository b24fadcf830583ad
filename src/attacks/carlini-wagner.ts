// The L2 attack of Carlini and Wagner (2017), with foolbox's defaults and order of operations.
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import type { Module } from "../nn/index.js";
import {
  assign,
  assignAll,
  full,
  grad,
  Program,
  type State,
  scalar,
  state,
  Tensor,
  tensor,
  zeros,
} from "../tensor/index.js";
import { runReporting } from "../train/run.js";
import { type AttackOptions, type AttackResult, adversarial, finish, prepare, type Task } from "./space.js";

/** Options of {@link L2CarliniWagnerAttack}. */
export interface L2CarliniWagnerOptions {
  /** How often the weight of misclassification is adjusted, by default 9. */
  binarySearchSteps?: number;
  /** Steps of Adam for each weight, by default 10,000. */
  steps?: number;
  /** Step size of Adam, by default 0.01. */
  stepsize?: number;
  /** How far the logit of the other class must lead, by default 0. */
  confidence?: number;
  /** First weight of misclassification, by default 1e-3. */
  initialConst?: number;
  /** End the steps for a weight when a tenth of them brought no progress, by default true. */
  abortEarly?: boolean;
}

/** Pixels are kept this far inside their bounds before atanh. */
const INSIDE = 0.999999;
/** With at least this many binary search steps the last one tries the largest weights once. */
const REPEATING_STEPS = 10;
const LARGEST_CONST = 1e10;
/** A check finds progress when the loss is below this share of the one before. */
const PROGRESS = 0.9999;
const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8];

/**
 * Minimizes |x' - x|^2 + c max(0, logit of the label - largest other logit) over x' = tanh(w), which keeps pixels inside
 * their bounds, by Adam; c is searched for each image between the largest that failed and the smallest that succeeded.
 */
export class L2CarliniWagnerAttack {
  readonly #options: Required<L2CarliniWagnerOptions>;

  constructor(options: L2CarliniWagnerOptions = {}) {
    const { binarySearchSteps = 9, steps = 10_000, stepsize = 0.01 } = options;
    const { initialConst = 1e-3, abortEarly = true } = options;
    this.#options = {
      binarySearchSteps,
      steps,
      stepsize,
      confidence: options.confidence ?? 0,
      initialConst,
      abortEarly,
    };
    for (const name of ["binarySearchSteps", "steps"] as const) {
      const value = this.#options[name];
      if (!Number.isInteger(value) || value < 1) refuse(name, value, "a positive integer");
    }
    for (const name of ["stepsize", "initialConst"] as const) {
      const value = this.#options[name];
      if (!(Number.isFinite(value) && value > 0)) refuse(name, value, "finite and above 0");
    }
    const { confidence } = this.#options;
    if (!(Number.isFinite(confidence) && confidence >= 0)) refuse("confidence", confidence, "finite and at least 0");
  }

  /**
   * Attacks `images` `[n, ...]` of the given labels. With a list of `epsilons` there is one result for each.
   * @throws TslipError for images outside the bounds, labels out of range, and the signal's reason when it is aborted.
   */
  run(model: Module, images: Tensor, labels: ArrayLike<number>, options?: AttackOptions): Promise<AttackResult>;
  run(
    model: Module,
    images: Tensor,
    labels: ArrayLike<number>,
    options: AttackOptions & { epsilons: readonly number[] },
  ): Promise<AttackResult[]>;
  async run(
    model: Module,
    images: Tensor,
    labels: ArrayLike<number>,
    options: AttackOptions & { epsilons?: readonly number[] } = {},
  ): Promise<AttackResult | AttackResult[]> {
    const { epsilons } = options;
    for (const epsilon of epsilons ?? []) if (!(epsilon >= 0)) refuse("each epsilon", epsilon, "at least 0");
    return await onCurrentDevice(async () => {
      const task = await prepare(model, images, labels, options);
      const found = await this.#search(task, options);
      if (epsilons === undefined) return await finish(task, found, undefined);
      const results: AttackResult[] = [];
      for (const epsilon of epsilons) results.push(await finish(task, found, epsilon));
      return results;
    });
  }

  /** The nearest adversarial of each image; the image itself where there is none. */
  async #search(task: Task, { signal, onProgress }: AttackOptions): Promise<Float32Array> {
    const { binarySearchSteps, steps, initialConst } = this.#options;
    const { count } = task;
    const search = new Search(task, this.#options);
    let consts = new Float64Array(count).fill(initialConst);
    const lower = new Float64Array(count);
    const upper = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
    for (let round = 0; round < binarySearchSteps; round++) {
      if (round === binarySearchSteps - 1 && binarySearchSteps >= REPEATING_STEPS) {
        consts = upper.map((c) => Math.min(c, LARGEST_CONST));
      }
      search.restart(consts);
      await runReporting(search.job(steps), signal, (step) => {
        onProgress?.((round + step / steps) / binarySearchSteps, upper.filter(Number.isFinite).length);
      });
      const succeeded = await search.found.data();
      for (let i = 0; i < count; i++) {
        const c = consts[i] ?? 0;
        if (succeeded[i]) upper[i] = c;
        else lower[i] = c;
      }
      consts = consts.map((c, i) => {
        const high = upper[i] ?? 0;
        return Number.isFinite(high) ? ((lower[i] ?? 0) + high) / 2 : c * 10;
      });
      onProgress?.((round + 1) / binarySearchSteps, upper.filter(Number.isFinite).length);
    }
    const found = Float32Array.from(await search.best.data());
    const size = found.length / count;
    const fooled = await adversarial(task, tensor(found, task.images.shape));
    return found.map((value, k) => (fooled[Math.floor(k / size)] ? value : (task.values[k] ?? 0)));
  }
}

/** The states of a search and the program of one step of Adam. */
class Search {
  /** Whether an adversarial was found with the weights at hand. */
  readonly found: State;
  /** The nearest adversarials so far. */
  readonly best: State;
  readonly #norms: State;
  readonly #delta: State;
  readonly #moments: readonly [State, State];
  readonly #consts: State;
  readonly #steps = state(zeros([]), { name: "step" });
  readonly #previous = state(full([], Number.POSITIVE_INFINITY), { name: "loss at the last check" });
  readonly #stop = state(zeros([], { dtype: "bool" }), { name: "stop" });
  readonly #program: Program<Record<string, Tensor>>;

  constructor(task: Task, options: Required<L2CarliniWagnerOptions>) {
    const { images, count, model } = task;
    const batched = true;
    const [zero, none] = [zeros(images.shape), zeros([count])];
    this.found = state(zeros([count], { dtype: "bool" }), { batched, name: "found" });
    const [low, high] = task.bounds;
    // As in foolbox, where the search finds nothing a blank image is left, which counts if it fools the model.
    const blank = full(images.shape, Math.min(high, Math.max(low, 0)));
    this.best = state(blank, { batched, name: "best" });
    this.#norms = state(full([count], Number.POSITIVE_INFINITY), { batched, name: "norms" });
    this.#delta = state(zero, { batched, name: "delta" });
    this.#moments = [state(zero, { batched, name: "first moment" }), state(zero, { batched, name: "second moment" })];
    this.#consts = state(none, { batched, name: "consts" });
    const [center, half] = [(low + high) / 2, (high - low) / 2];
    const outer = state(images.sub(center).div(half).mul(INSIDE).atanh(), { batched, name: "images before tanh" });
    const originals = state(images, { batched, name: "images" });
    const classes = state(tensor(task.targets ?? task.labels), { batched, name: "classes" });
    this.#program = model.evaluating(() =>
      Program.record(() => this.#step({ task, options, outer, originals, classes, center, half }), []),
    );
  }

  /** Back to no perturbation, with new weights of misclassification. */
  restart(consts: Float64Array): void {
    const zero = zeros(this.#delta.shape);
    assignAll([
      [this.#delta, zero],
      [this.#moments[0], zero],
      [this.#moments[1], zero],
      [this.#steps, zeros([])],
      [this.#previous, full([], Number.POSITIVE_INFINITY)],
      [this.#stop, zeros([], { dtype: "bool" })],
      [this.found, zeros(this.found.shape, { dtype: "bool" })],
      [this.#consts, tensor(Float32Array.from(consts))],
    ]);
  }

  /** All steps in one call of the engine. */
  job(steps: number) {
    const one = this.#program.job([]);
    const segments = one.segments.map(({ plan }) => ({ plan, steps }));
    return { ...one, segments, until: { state: this.#stop.id, checkEvery: 1 } };
  }

  #step(s: {
    task: Task;
    options: Required<L2CarliniWagnerOptions>;
    outer: State;
    originals: State;
    classes: State;
    center: number;
    half: number;
  }): Record<string, Tensor> {
    const { steps, stepsize, confidence, abortEarly } = s.options;
    const targeted = s.task.targets !== undefined;
    const inModel = (w: Tensor): Tensor => w.tanh().mul(s.half).add(s.center);
    const perturbed = inModel(s.outer.add(this.#delta));
    const logits = s.task.model.forward(perturbed);
    const chosen = s.classes.oneHot(s.task.classes);
    const own = logits.mul(chosen).sum(1);
    const other = chosen.greater(0).where(scalar(Number.NEGATIVE_INFINITY), logits).max(1);
    const lead = targeted ? other.sub(own) : own.sub(other);
    const misclassification = lead.add(confidence).relu().mul(this.#consts).sum();
    const distance = perturbed.sub(inModel(s.outer)).square().sum();
    const loss = misclassification.add(distance);
    this.#descend(grad(loss, [this.#delta])[0], stepsize);

    // Every tenth of the steps: no progress ends the loop before this step's images are looked at.
    const step = this.#steps;
    const every = Math.ceil(steps / 10);
    const due = abortEarly ? step.sub(step.div(every).floor().mul(every)).equal(0) : step.less(0);
    const stop = this.#stop.or(due.and(loss.lessEqual(this.#previous.mul(PROGRESS)).not()));
    const passed = due.where(loss, this.#previous);
    const raised = logits.add(chosen.mul(targeted ? -confidence : confidence));
    const predicted = raised.argmax(1);
    const hit = (targeted ? predicted.equal(s.classes) : predicted.notEqual(s.classes)).and(stop.not());
    const norms = perturbed.sub(s.originals).flatten(1).square().sum(1).sqrt();
    const nearer = hit.and(norms.less(this.#norms));
    const ones = perturbed.shape.slice(1).map(() => 1);
    assign(this.best, nearer.reshape([perturbed.shape[0] ?? 0, ...ones]).where(perturbed, this.best));
    assign(this.#norms, nearer.where(norms, this.#norms));
    assign(this.found, this.found.or(hit));
    assign(this.#previous, passed);
    assign(this.#stop, stop);
    assign(this.#steps, this.#steps.add(1));
    return {};
  }

  /** One step of Adam from the perturbation's gradient. */
  #descend(gradient: Tensor, stepsize: number): void {
    const [first, second] = this.#moments;
    const count = this.#steps.add(1);
    const m = first.mul(BETA1).add(gradient.mul(1 - BETA1));
    const v = second.mul(BETA2).add(gradient.square().mul(1 - BETA2));
    const corrected = m.div(Tensor.make("bias_correction", { beta: BETA1 }, [count]));
    const scale = v
      .div(Tensor.make("bias_correction", { beta: BETA2 }, [count]))
      .sqrt()
      .add(EPSILON);
    assign(first, m);
    assign(second, v);
    assign(this.#delta, this.#delta.sub(corrected.div(scale).mul(stepsize)));
  }
}

function refuse(name: string, value: number, expected: string): never {
  throw new TslipError("INVALID_ARGUMENT", `${name} must be ${expected}; given ${String(value)}`);
}
