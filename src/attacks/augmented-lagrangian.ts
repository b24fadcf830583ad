// ALMA, the augmented Lagrangian method for adversarial attacks (Rony et al. 2021).
import { number, type Options, readOptions, type Schema, whole } from "../options.js";
import { assign, full, grad, Program, state, type Tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { logitsRatio } from "./logits-ratio.js";
import { L1, L2, type Norm, perSample, SMALLEST } from "./norm.js";
import { aboveZero, atLeastZero, decay, share } from "./options.js";
import { withinReach } from "./planes.js";
import { isFloat32 } from "./space.js";

/** Options of {@link L2ALMAAttack} and {@link L1ALMAAttack}, by the letters of the paper where it has them. */
export interface ALMAOptions {
  /** By default 1000. */
  steps?: number;
  /** Length of the first step by the norm, from which follows the step size; by default 0.1 in L2 norm and 0.5 in L1. */
  initStepDistance?: number;
  /** Share of the step size that is left in the end: it goes down from the first adversarial on; by default 0.01. */
  stepsizeReduction?: number;
  /** First multiplier of the penalty, by default 1. */
  muInit?: number;
  /** First weight of violations in the penalty, by default 1. */
  rhoInit?: number;
  /** The weight is looked at after every so many steps (M), by default 10. */
  checkSteps?: number;
  /** It stays where the violation went below this share, by default 0.95. */
  tau?: number;
  /** By how much it grows otherwise, until something was found; by default 1.2. */
  gamma?: number;
  /** Decay of the running means of multipliers, of squares of gradients and of steps; by default 0.9. */
  alpha?: number;
  /** By how much the other class must lead, as its share of the distance of the largest from the third logit; by default 1e-4. */
  logitTolerance?: number;
}

const schema = (initStepDistance: number) =>
  ({
    steps: whole(1, 1000),
    initStepDistance: aboveZero(initStepDistance),
    stepsizeReduction: share(0.01),
    muInit: aboveZero(1),
    rhoInit: aboveZero(1),
    checkSteps: whole(1, 10),
    tau: share(0.95),
    gamma: number("finite in float32 and above 1", (value) => isFloat32(value) && value > 1, 1.2),
    alpha: decay(0.9),
    logitTolerance: atLeastZero(1e-4),
  }) satisfies Schema<keyof ALMAOptions>;

/** Multipliers are kept within these. */
const [LEAST, MOST] = [1e-6, 1e12];
/** Weights of violations stay finite. */
const MOST_WEIGHT = 1e12;
/** Added to roots of means of squares. */
const SMALL = 1e-8;

/**
 * The derivative of the penalty P2 by the violation y: of mu y + mu rho y² + rho² y³ / 6 where y is at least 0, and of
 * mu y / (1 - max(rho, 1) y) elsewhere.
 */
function slope(y: Tensor, rho: Tensor, mu: Tensor): Tensor {
  const above = mu.add(mu.mul(rho).mul(y).mul(2)).add(rho.square().mul(y.square()).mul(0.5));
  const below = mu.div(rho.maximum(1).mul(y.minimum(0)).neg().add(1).square());
  return y.greaterEqual(0).where(above, below);
}

/** What the attacks share. */
abstract class ALMAAttack extends Attack {
  protected override readonly bounded = true;

  constructor(
    readonly norm: Norm,
    /** Those given, with the defaults of others. */
    readonly options: Options<ReturnType<typeof schema>>,
  ) {
    super();
  }

  protected async search({ task, best, criterion, signal, progress }: Search): Promise<void> {
    const { steps, initStepDistance, stepsizeReduction, muInit, rhoInit, ...rest } = this.options;
    const { checkSteps, tau, gamma, alpha, logitTolerance } = rest;
    const { model, images, count, bounds } = task;
    const { norm } = this;
    const { originals } = best;
    const batched = true;
    const pixels = (name: string, first = 0) => state(full(images.shape, first), { batched, name });
    const numbers = (name: string, first = 0) => state(full([count], first), { batched, name });
    const delta = pixels("perturbation");
    const squares = pixels("running mean of squares of gradients", 1);
    const sum = pixels("sum of steps");
    const size = numbers("step size");
    const mu = numbers("multipliers", muInit);
    const rho = numbers("weights of violations", rhoInit);
    const checked = numbers("violations at the last check");
    const since = numbers("steps before the first adversarial", steps + 1);
    const at = state(zeros([]), { name: "step" });
    const check = state(zeros([]), { name: "whether weights are looked at" });
    const step = (): { found: Tensor } => {
      const begins = at.equal(0);
      const perturbed = originals.add(delta).clip(...bounds);
      const logits = model.forward(perturbed);
      const violation = logitsRatio(criterion.lead(logits), logits, criterion.targeted).add(logitTolerance);
      const before = best.found.not();
      const hit = best.offer(perturbed, logits);
      const found = before.and(hit).where(at, since);
      const improved = begins.or(violation.less(checked.mul(tau))).or(before.not());
      const due = check.greater(0);
      const weight = due.and(improved.not()).where(rho.mul(gamma).minimum(MOST_WEIGHT), rho);
      const mean = mu.mul(alpha).add(slope(violation, weight, mu).mul(1 - alpha));
      const multiplier = begins.where(mu, mean.clip(LEAST, MOST));
      const [outward] = grad(violation.sum(), [perturbed]);
      const pull = begins.where(0, inward(perturbed.sub(originals), norm));
      const gradient = outward.mul(perSample(slope(violation, weight, multiplier), images)).add(pull);
      // The first step is as long as it is asked for, but for pixels on their bounds.
      const reach = norm.distance(withinReach(gradient, perturbed, bounds));
      const first = reach.greater(0).where(reach.maximum(SMALLEST).reciprocal().mul(initStepDistance), 0);
      const rate = begins.where(first, size);
      const left = found.neg().add(steps);
      const done = found.neg().add(at).maximum(0).div(left.maximum(1));
      const pace = done.mul(Math.log(stepsizeReduction)).exp().mul(rate);
      const mean2 = squares.mul(alpha).add(gradient.square().mul(1 - alpha));
      const way = sum.mul(alpha).add(gradient.div(mean2.sqrt().add(SMALL)));
      const moved = originals.add(delta).sub(way.mul(perSample(pace, images)));
      assign(checked, begins.or(due).where(violation, checked));
      assign(since, found);
      assign(rho, weight);
      assign(mu, multiplier);
      assign(size, rate);
      assign(squares, mean2);
      assign(sum, way);
      assign(delta, moved.clip(...bounds).sub(originals));
      return { found: best.count() };
    };
    const program = model.evaluating(() => Program.record(step, []));
    const table = (value: (i: number) => number) => Float32Array.from({ length: steps }, (_, i) => value(i));
    const { values } = await repeat(program, {
      steps,
      tables: [
        { state: at, values: table((i) => i) },
        { state: check, values: table((i) => Number(i > 0 && (i + 1) % checkSteps === 0)) },
      ],
      signal,
      onProgress: (done, _, [found = 0]) => progress(done / steps, found),
    });
    progress(1, values.found.item());
  }
}

/** The gradient of the norm of a perturbation. */
function inward(delta: Tensor, norm: Norm): Tensor {
  return norm === L1 ? delta.sign() : L2.steepest(delta);
}

/**
 * ALMA (Rony et al. 2021) in L2 norm: descends the distance plus a penalty of the difference of logits ratio, whose multiplier and
 * weight follow the violation, each image by itself, by RMSProp with momentum.
 */
export class L2ALMAAttack extends ALMAAttack {
  constructor(options: ALMAOptions = {}) {
    super(L2, readOptions("L2ALMAAttack", schema(0.1), options));
  }
}

/** {@link L2ALMAAttack} for the sum of changes. */
export class L1ALMAAttack extends ALMAAttack {
  constructor(options: ALMAOptions = {}) {
    super(L1, readOptions("L1ALMAAttack", schema(0.5), options));
  }
}
