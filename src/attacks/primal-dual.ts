// Primal-dual attacks (Matyasko and Chau 2021): gradient descent on the perturbation, ascent on the weight of misclassification.

import { corrected } from "../optim/adam.js";
import { type Options, readOptions, type Schema, whole } from "../options.js";
import { assign, full, grad, Program, type State, state, type Tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { L1, L2, Linf, type Norm, perSample, projectL1, SMALLEST, softThreshold } from "./norm.js";
import { aboveZero, decay, share } from "./options.js";

/** Options of {@link L2PDGDAttack}. */
export interface PDGDOptions {
  /** By default 500. */
  steps?: number;
  /** First step size of the perturbation, by default 0.1. */
  primalLr?: number;
  /** Share of it that the last steps have, by default 0.01. */
  primalLrDecrease?: number;
  /** Weight of the distance divided by that of misclassification at first, by default 0.01. */
  dualRatioInit?: number;
  /** First step size of the logarithm of that ratio, by default 0.1. */
  dualLr?: number;
  /** Share of it that the last step has, by default 0.1. */
  dualLrDecrease?: number;
  /** Decay of the running mean of weights, by default 0.9. */
  dualEma?: number;
  /** Neither weight is less than this share of the other, by default 1e-6. */
  dualMinRatio?: number;
}

/** Options of {@link L1PDPGDAttack}, {@link L2PDPGDAttack} and {@link LinfPDPGDAttack}. */
export interface PDPGDOptions extends PDGDOptions {
  /** Proximal steps after each step of Adam, at most; by default 5. */
  proximalSteps?: number;
}

const OPTIONS = {
  steps: whole(1, 500),
  primalLr: aboveZero(0.1),
  primalLrDecrease: share(0.01),
  dualRatioInit: aboveZero(0.01),
  dualLr: aboveZero(0.1),
  dualLrDecrease: share(0.1),
  dualEma: decay(0.9),
  dualMinRatio: share(1e-6),
} satisfies Schema<keyof PDGDOptions>;

const PROXIMAL_OPTIONS = { ...OPTIONS, proximalSteps: whole(1, 5) } satisfies Schema<keyof PDPGDOptions>;

/** Decays of Adam's means, and what is added to the root of the second. */
const [FIRST, SECOND, SMALL] = [0.9, 0.999, 1e-8];
/** Proximal steps end where one moves the perturbation by less than this share of it. */
const SETTLED = 0.01;

/** What a step of Adam knows. */
interface Moment {
  /** From the image to where it leads, within the bounds. */
  readonly delta: Tensor;
  /** What the mean of gradients was divided by. */
  readonly scale: Tensor;
  /** f32 `[]`. */
  readonly rate: Tensor;
  /** Of misclassification, `[n]`; that of the distance is the rest of 1. */
  readonly weight: Tensor;
  /** A perturbation, within the bounds. */
  within(delta: Tensor): Tensor;
}

/** What the attacks share. */
abstract class PrimalDualAttack<O extends Options<typeof OPTIONS> = Options<typeof OPTIONS>> extends Attack {
  protected override readonly bounded = true;

  constructor(
    readonly norm: Norm,
    /** Those given, with the defaults of others. */
    readonly options: O,
  ) {
    super();
  }

  /** The gradient that is descended, of the weighted distance and that of misclassification, which is weighted where the distance is. */
  protected abstract descended(delta: Tensor, outward: Tensor, weight: Tensor): Tensor;
  /** Where a step of Adam ends. */
  protected abstract after(moment: Moment): Tensor;

  protected async search({ task, best, criterion, signal, progress }: Search): Promise<void> {
    const { steps, primalLr, primalLrDecrease, dualRatioInit, dualLr, dualLrDecrease, dualEma, dualMinRatio } =
      this.options;
    const { model, images, count, bounds } = task;
    const { originals } = best;
    const batched = true;
    const pixels = (name: string): State => state(zeros(images.shape), { batched, name });
    const delta = pixels("perturbation");
    const first = pixels("mean of gradients");
    const second = pixels("mean of their squares");
    // The logarithm of the weight of misclassification divided by that of the distance, and the mean of its share of both.
    const dual = state(full([count], -Math.log(dualRatioInit)), { batched, name: "dual variable" });
    const share = state(full([count], 1 / (1 + dualRatioInit)), { batched, name: "weight of misclassification" });
    const at = state(zeros([]), { name: "step" });
    const rate = state(zeros([]), { name: "step size" });
    const dualRate = state(zeros([]), { name: "step size of dual variables" });
    const within = (d: Tensor): Tensor =>
      originals
        .add(d)
        .clip(...bounds)
        .sub(originals);
    const limit = -Math.log(dualMinRatio);
    const step = (): { found: Tensor } => {
      const perturbed = originals.add(delta).clip(...bounds);
      const offset = perturbed.sub(originals);
      const logits = model.forward(perturbed);
      const lead = criterion.lead(logits);
      const hit = best.offer(perturbed, logits);
      const [gradient] = grad(lead.sum(), [perturbed]);
      // The derivative of softplus(max(lead, 0)); an image with equal logits that is not adversarial has one as well.
      const outward = gradient.mul(perSample(hit.where(0, lead.relu().sigmoid()), images));
      const descended = this.descended(offset, outward, share);
      const mean = first.mul(FIRST).add(descended.mul(1 - FIRST));
      const mean2 = second.mul(SECOND).add(descended.square().mul(1 - SECOND));
      const scale = mean2.div(corrected(SECOND, at)).sqrt().add(SMALL);
      const moved = offset.sub(mean.div(corrected(FIRST, at)).div(scale).mul(rate));
      assign(delta, this.after({ delta: within(moved), scale, rate, weight: share, within }));
      assign(first, mean);
      assign(second, mean2);
      const next = dual.add(hit.where(dualRate.neg(), dualRate)).clip(-limit, limit);
      assign(share, share.mul(dualEma).add(next.sigmoid().mul(1 - dualEma)));
      assign(dual, next);
      return { found: best.count() };
    };
    const program = model.evaluating(() => Program.record(step, []));
    const table = (value: (i: number) => number) => Float32Array.from({ length: steps }, (_, i) => value(i));
    const left = (i: number): number => 1 - i / Math.max(steps - 1, 1);
    const { values } = await repeat(program, {
      steps,
      tables: [
        { state: at, values: table((i) => i + 1) },
        { state: rate, values: table((i) => primalLr * primalLrDecrease ** (i / steps)) },
        { state: dualRate, values: table((i) => dualLr * (left(i) * (1 - dualLrDecrease) + dualLrDecrease)) },
      ],
      signal,
      onProgress: (done, _, [found = 0]) => progress(done / steps, found),
    });
    progress(1, values.found.item());
  }
}

/**
 * Primal-dual gradient descent (Matyasko and Chau 2021) in L2 norm: descends the distance and the softplus of the lead by Adam, with
 * weights, one an image, that follow whether it is adversarial: more for the lead where it is not, more for the distance where it is.
 */
export class L2PDGDAttack extends PrimalDualAttack {
  constructor(options: PDGDOptions = {}) {
    super(L2, readOptions("L2PDGDAttack", OPTIONS, options));
  }

  protected descended(delta: Tensor, outward: Tensor, weight: Tensor): Tensor {
    const pull = L2.steepest(delta).mul(perSample(weight.neg().add(1), delta));
    return pull.add(outward.mul(perSample(weight, delta)));
  }

  protected after({ delta }: Moment): Tensor {
    return delta;
  }
}

/** The z with the least weight ‖z‖ + ‖z - d‖² / 2, in the L2 norm the latter; weights `[n]`. */
type Proximal = (d: Tensor, weights: Tensor) => Tensor;

const softL1: Proximal = (d, weights) => softThreshold(d, perSample(weights, d));
const softL2: Proximal = (d, weights) => {
  const left = weights.div(L2.distance(d).maximum(SMALLEST)).neg().add(1).relu();
  return d.mul(perSample(left, d));
};
/** What is left of d beyond an L1 ball, as that is the dual one (Moreau). */
const softLinf: Proximal = (d, weights) => d.sub(projectL1(d, weights));

/** Descends the lead alone by Adam; the distance is left to proximal steps. */
abstract class ProximalAttack extends PrimalDualAttack<Options<typeof PROXIMAL_OPTIONS>> {
  readonly #proximal: Proximal;

  constructor(norm: Norm, proximal: Proximal, name: string, options: PDPGDOptions) {
    super(norm, readOptions(name, PROXIMAL_OPTIONS, options));
    this.#proximal = proximal;
  }

  protected descended(_delta: Tensor, outward: Tensor): Tensor {
    return outward;
  }

  /** Proximal Adam (Melchior, Joseph and Moolekamp 2019). */
  protected after({ delta, scale, rate, weight, within }: Moment): Tensor {
    const largest = scale.flatten(1).max(1);
    const metric = scale.div(perSample(largest, delta));
    const threshold = weight.neg().add(1).div(weight).mul(rate).div(largest);
    let z = delta;
    let active: Tensor | undefined;
    for (let i = 0; i < this.options.proximalSteps; i++) {
      const next = within(this.#proximal(z.add(delta.sub(z).mul(metric)), threshold));
      const taken: Tensor = active === undefined ? next : perSample(active, delta).where(next, z);
      const unsettled = L2.distance(taken.sub(z)).greater(L2.distance(taken).mul(SETTLED));
      active = active === undefined ? unsettled : active.and(unsettled);
      z = taken;
    }
    return z;
  }
}

/**
 * Primal-dual proximal gradient descent (Matyasko and Chau 2021) in L1 norm: steps of Adam down the softplus of the lead, each followed by
 * steps that shrink the perturbation by the norm's proximal operator, with weights as those of {@link L2PDGDAttack}.
 */
export class L1PDPGDAttack extends ProximalAttack {
  constructor(options: PDPGDOptions = {}) {
    super(L1, softL1, "L1PDPGDAttack", options);
  }
}

/** {@link L1PDPGDAttack} for the length of the perturbation. */
export class L2PDPGDAttack extends ProximalAttack {
  constructor(options: PDPGDOptions = {}) {
    super(L2, softL2, "L2PDPGDAttack", options);
  }
}

/** {@link L1PDPGDAttack} for the largest change of a pixel. */
export class LinfPDPGDAttack extends ProximalAttack {
  constructor(options: PDPGDOptions = {}) {
    super(Linf, softLinf, "LinfPDPGDAttack", options);
  }
}
