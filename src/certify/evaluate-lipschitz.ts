// evaluateLipschitz: how steep a model is found to be around samples, a lower bound of its Lipschitz constant.
import { L2, perSample } from "../attacks/norm.js";
import { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { forwarded } from "../nn/flow.js";
import { batchOf, type ModelInput, Module, scaledImages } from "../nn/module.js";
import {
  abortSignal,
  asGiven,
  callback,
  choice,
  notNegative,
  positive,
  readOptions,
  type Schema,
  whole,
} from "../options.js";
import { assign, Generator, grad, Program, type State, scalar, state, type Tensor, zeros } from "../tensor/index.js";
import { showShape } from "../tensor/shape.js";
import { repeat } from "../train/loop.js";

/** Options of {@link evaluateLipschitz}. */
export interface EvaluateLipschitzOptions {
  /**
   * "jacobian", the default: the norm of the Jacobian at each sample, by power iteration. "noise": quotients of differences for random
   * directions. "attack": those for directions that climb the quotient.
   */
  method?: "jacobian" | "noise" | "attack";
  /** Iterations of the power method, random directions or steps of the ascent, at most; by default 100. */
  steps?: number;
  /**
   * By "jacobian" and "attack" a batch is left once five steps in a row have raised its largest slope by no more than this share of it, by
   * default 1e-4: after some 10 to 20 steps of a trained network, with about 1e-5 less than what 100 find. With 0 any rise counts.
   */
  tolerance?: number;
  /** L2 norm of the perturbations of "noise" and "attack"; by default 0.1. */
  epsilon?: number;
  /** Samples that are looked at together, by default 256: a matter of memory alone. */
  batchSize?: number;
  /** Of the directions that are drawn; by default the next of the sequence that `manualSeed` restarts. */
  seed?: number;
  /** Aborting rejects with the signal's reason within one step. */
  signal?: AbortSignal | undefined;
  /** Told of the work done, from 0 to 1, and waited for; what it throws, or rejects with, ends it, and rejects. */
  onProgress?: ((share: number) => void) | undefined;
}

const OPTIONS = {
  method: choice(["jacobian", "noise", "attack"], "jacobian"),
  steps: whole(1, 100),
  tolerance: notNegative(1e-4),
  epsilon: positive(0.1),
  batchSize: whole(1, 256),
  seed: asGiven<number | undefined>(),
  signal: abortSignal,
  onProgress: callback,
} satisfies Schema<keyof EvaluateLipschitzOptions>;

/** A direction may turn for a few steps before the slope rises, and a sample be behind another that it is to overtake. */
const RESTING_STEPS = 5;

/** Samples with their results, as the methods are given them. */
interface Task {
  /** What the model computes, in evaluation mode. */
  readonly model: (x: Tensor) => Tensor;
  readonly samples: State;
  /** Shape of the results. */
  readonly results: readonly number[];
  readonly epsilon: number;
  readonly generator: Generator;
}

/** Of each sample how steep the model is found to be, as far as one more step tells. */
type Step = () => Tensor;

/**
 * The largest slope in the L2 norm that is found around samples - a tensor `[n, ...]`, what `predict` takes, or a data set: a lower bound of the
 * model's Lipschitz constant in evaluation mode, where `lipschitzBound()` is an upper one (torchlip's `evaluate_lip_const`).
 * It is computed in float32: a quotient may be too large by about 1e-6 of the results over `epsilon`, a Jacobian by a few roundings. Where
 * values tie, the Jacobian is one of those that there are. How long it takes is in proportion to the samples: of the reference network some
 * 1 ms each on two cores. A few hundred samples tell most of it.
 * @throws TslipError `EMPTY_DATASET` without samples, `NON_FINITE` where a slope is NaN or infinite, with the sample.
 */
export async function evaluateLipschitz(
  model: Module,
  data: ModelInput | Dataset,
  options: EvaluateLipschitzOptions = {},
): Promise<number> {
  if (!((model as unknown) instanceof Module)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `evaluateLipschitz takes a Module, then samples; the first argument is ${describe(model)}`,
    );
  }
  const { method, steps, tolerance, epsilon, batchSize, seed, signal } = readOptions(
    "evaluateLipschitz",
    OPTIONS,
    options,
  );
  const { onProgress } = options;
  const all = data instanceof Dataset ? undefined : batchOf(data);
  const count = data instanceof Dataset ? data.length : (all?.shape[0] ?? 0);
  if (count === 0) throw new TslipError("EMPTY_DATASET", "evaluateLipschitz needs at least one sample; given none");
  const generator = new Generator(seed === undefined ? {} : { seed });
  return await onCurrentDevice(async () => {
    let most = 0;
    const batches = Math.ceil(count / batchSize);
    for (let i = 0; i < batches; i++) {
      const start = i * batchSize;
      const images =
        data instanceof Dataset ? data.batch(i, batchSize).images : (all as Tensor).slice([start], [start + batchSize]);
      const slopes = state(zeros([images.shape[0] ?? 0]), { batched: true, name: "slopes" });
      const rests = state(zeros([], { dtype: "bool" }), { name: "the largest slope rests" });
      const program = await recorded(model, images, { slopes, rests }, { method, tolerance, epsilon, generator });
      const told = (done: number): void => onProgress?.((i + done / steps) / batches);
      const until = method === "noise" ? {} : { until: rests };
      await repeat(program, { steps, signal, onProgress: told, ...until });
      const found = await slopes.data();
      const bad = found.findIndex((slope: number) => !Number.isFinite(slope));
      if (bad >= 0) {
        throw new TslipError(
          "NON_FINITE",
          `around sample ${start + bad} the model has the slope ${found[bad]}; look for values that are not finite, in the samples ` +
            "or in the weights",
        );
      }
      for (const slope of found) most = Math.max(most, slope);
    }
    await onProgress?.(1);
    return most;
  });
}

/** What is asked of a batch. */
interface Search extends Pick<Task, "epsilon" | "generator"> {
  readonly method: keyof typeof METHODS;
  readonly tolerance: number;
}

/** A step of a method, which keeps in `slopes` the largest of each sample, and in `rests` whether the largest of all has come to rest. */
async function recorded(
  model: Module,
  images: Tensor,
  { slopes, rests }: { readonly slopes: State; readonly rests: State },
  { method, tolerance, epsilon, generator }: Search,
): Promise<Program<Record<never, never>>> {
  const samples = state(scaledImages(images), { batched: true, name: "samples" });
  const { shape: results } = await model.predict(samples);
  if (results[0] !== images.shape[0]) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `evaluateLipschitz needs a result for each sample, [${images.shape[0]}, ...]; the model gives ${showShape(results)}`,
      { shapes: [results] },
    );
  }
  const resting = state(scalar(0), { name: "steps in which the largest slope did not rise" });
  const step = METHODS[method]({ model: (x) => forwarded(model, x), samples, results, epsilon, generator });
  return model.evaluating(() =>
    Program.record(() => {
      const found = step();
      const rising = found.max().greater(slopes.max().mul(1 + tolerance));
      assign(resting, rising.where(0, resting.add(1)));
      assign(rests, resting.greaterEqual(RESTING_STEPS));
      // NaN stays, and is told.
      assign(slopes, slopes.maximum(found));
      return {};
    }, []),
  );
}

const METHODS = { jacobian, noise, attack };

/** u goes to J Jᵀ u: the product with Jᵀ is a gradient, and that with J the gradient of it by u (Pearlmutter's trick, twice backward). */
function jacobian({ model, samples, results, generator }: Task): Step {
  const direction = state(L2.steepest(generator.normal(results)), { batched: true, name: "direction" });
  return () => {
    const [pulled] = grad(model(samples).mul(direction).sum(), [samples]);
    const [pushed] = grad(pulled.mul(pulled.stopGradient()).sum(), [direction]);
    turn(direction, pushed);
    return L2.distance(pulled).div(L2.distance(direction));
  };
}

function noise({ model, samples, epsilon, generator }: Task): Step {
  return () => quotient(model, samples, samples.add(L2.steepest(generator.normal(samples.shape)).mul(epsilon))).slope;
}

/** The direction turns to where the difference of the results grows fastest: for a linear model the power iteration. */
function attack({ model, samples, epsilon, generator }: Task): Step {
  const direction = state(L2.steepest(generator.normal(samples.shape)), { batched: true, name: "direction" });
  return () => {
    const moved = samples.add(direction.mul(epsilon));
    const { slope, change, value } = quotient(model, samples, moved);
    const [gradient] = grad(value.mul(L2.steepest(change).stopGradient()).sum(), [moved]);
    turn(direction, gradient);
    return slope;
  };
}

/** How much the results differ, over how much the samples do as float32 has them; 0 where those do not. */
function quotient(model: Task["model"], samples: Tensor, moved: Tensor) {
  const value = model(moved);
  const change = value.sub(model(samples));
  const length = L2.distance(moved.sub(samples));
  const none = length.equal(0);
  return { slope: none.where(0, L2.distance(change).div(none.where(1, length))), change, value };
}

/** A state of directions of norm 1 takes over those of `towards`, where there are any. */
function turn(direction: State, towards: Tensor): void {
  const any = L2.distance(towards).greater(0);
  assign(direction, perSample(any, towards).where(L2.steepest(towards), direction));
}
