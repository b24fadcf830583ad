// Noise of the size of a radius, under foolbox's names: drawn once, or again until the image is adversarial.
import { type Options, type Schema, whole } from "../options.js";
import type { Draws } from "../tensor/generator.js";
import type { Tensor } from "../tensor/index.js";
import { readDescent } from "./ascent.js";
import { L2, Linf, type Norm, perSample, SMALLEST } from "./norm.js";
import { QUERY_OPTIONS, type QueryOptions } from "./queries.js";
import { RadialAttack } from "./radial.js";
import type { Bounds } from "./space.js";

/** Options of noise within a radius. */
export interface AdditiveNoiseOptions extends QueryOptions {
  /** Radii that are tried for an image where `run` is given no epsilons, by default 16. */
  binarySearchSteps?: number;
}

/** Options of noise that is drawn again and again. */
export interface RepeatedAdditiveNoiseOptions extends AdditiveNoiseOptions {
  /** How often it is drawn for a radius, until the image is adversarial; by default 100. */
  repeats?: number;
}

const ONCE = {
  ...QUERY_OPTIONS,
  binarySearchSteps: whole(1, 16),
} satisfies Schema<keyof AdditiveNoiseOptions>;

const REPEATED = { ...ONCE, repeats: whole(1, 100) } satisfies Schema<keyof RepeatedAdditiveNoiseOptions>;

/** A noise of an image, `[1, ...]` for all. */
type Noise = (draws: Draws, images: Tensor) => Tensor;

const one = (images: Tensor): number[] => [1, ...images.shape.slice(1)];
const gaussian: Noise = (draws, images) => draws.normal(one(images));
const uniform: Noise = (draws, images) => draws.uniform(one(images)).mul(2).sub(1);

/** How a noise becomes perturbations of images, of the size of radii `[n]`. */
type Size = (noise: Tensor, radii: Tensor, images: Tensor, bounds: Bounds) => Tensor;

const sized =
  (norm: Norm): Size =>
  (noise, radii, images) =>
    noise.div(norm.distance(noise)).mul(perSample(radii, images));

/** More than the roundings of a radius, of noise that is scaled to it and of its sums with pixels: sixteen units of float32. */
const ROUNDING = 2 ** -20;

/** So much less than the radius that sums with pixels are not rounded beyond it, for which the frame would clip and judge them again. */
const sizedToFit: Size = (noise, radii, images, [low, high]) => {
  const largest = Math.max(Math.abs(low), Math.abs(high));
  return sized(Linf)(noise, radii.sub(radii.maximum(largest).mul(ROUNDING)).relu(), images, [low, high]);
};

/** Steps of Newton's method, which ends after as many as pixels come to their bounds one by one, and mostly after a few. */
const STEPS = 12;

/**
 * Clipping-aware rescaling (Rauber and Bethge 2020): with the scale that gives the noise the norm once it is clipped to the bounds; where
 * none does, one that takes every pixel to its bound. The squared norm is concave in the squared scale, and linear while no further
 * pixel is clipped: Newton's method comes to the scale from below.
 */
const sizedWhenClipped: Size = (noise, radii, images, [low, high]) => {
  const space = noise.less(0).where(images.sub(low), images.neg().add(high));
  const clipped = (scales: Tensor): Tensor => noise.abs().mul(perSample(scales, images)).minimum(space);
  const total = (x: Tensor): Tensor => x.square().flatten(1).sum(1);
  let scales = radii.div(L2.distance(noise));
  for (let i = 0; i < STEPS; i++) {
    const moved = clipped(scales);
    const free = total(moved.less(space).where(noise, 0)).maximum(SMALLEST);
    scales = scales
      .square()
      .add(radii.square().sub(total(moved)).relu().div(free))
      .sqrt();
  }
  return L2.project(noise.sign().mul(clipped(scales)), radii);
};

/** What the attacks share. */
abstract class AdditiveNoiseAttack<O extends Options<typeof ONCE>> extends RadialAttack<O> {
  protected abstract readonly noise: Noise;
  protected readonly size: Size = sized(L2);
  readonly norm: Norm = L2;

  protected override perturbed(draws: Draws, images: Tensor, radii: Tensor, bounds: Bounds): Tensor {
    return images.add(this.size(this.noise(draws, images), radii, images, bounds)).clip(...bounds);
  }
}

abstract class OneNoise extends AdditiveNoiseAttack<Options<typeof ONCE>> {
  constructor(options: AdditiveNoiseOptions = {}) {
    super(readDescent(new.target.name, ONCE, options));
  }
}

abstract class RepeatedNoise extends AdditiveNoiseAttack<Options<typeof REPEATED>> {
  constructor(options: RepeatedAdditiveNoiseOptions = {}) {
    super(readDescent(new.target.name, REPEATED, options));
  }
}

/** Gaussian noise of the L2 norm of the radius, before it is clipped to the bounds. */
export class L2AdditiveGaussianNoiseAttack extends OneNoise {
  protected readonly noise = gaussian;
}

/** Uniform noise of the L2 norm of the radius, before it is clipped to the bounds. */
export class L2AdditiveUniformNoiseAttack extends OneNoise {
  protected readonly noise = uniform;
}

/** Gaussian noise that has the L2 norm of the radius once it is clipped to the bounds (Rauber and Bethge 2020). */
export class L2ClippingAwareAdditiveGaussianNoiseAttack extends OneNoise {
  protected readonly noise = gaussian;
  protected override readonly size = sizedWhenClipped;
}

/** Uniform noise that has the L2 norm of the radius once it is clipped to the bounds (Rauber and Bethge 2020). */
export class L2ClippingAwareAdditiveUniformNoiseAttack extends OneNoise {
  protected readonly noise = uniform;
  protected override readonly size = sizedWhenClipped;
}

/** Uniform noise whose largest change is the radius; foolbox 3.3.4 takes the largest upward one for it. */
export class LinfAdditiveUniformNoiseAttack extends OneNoise {
  override readonly norm = Linf;
  protected readonly noise = uniform;
  protected override readonly size = sizedToFit;
}

/** {@link L2AdditiveGaussianNoiseAttack}, again and again. */
export class L2RepeatedAdditiveGaussianNoiseAttack extends RepeatedNoise {
  protected readonly noise = gaussian;
}

/** {@link L2AdditiveUniformNoiseAttack}, again and again. */
export class L2RepeatedAdditiveUniformNoiseAttack extends RepeatedNoise {
  protected readonly noise = uniform;
}

/** {@link L2ClippingAwareAdditiveGaussianNoiseAttack}, again and again. */
export class L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack extends RepeatedNoise {
  protected readonly noise = gaussian;
  protected override readonly size = sizedWhenClipped;
}

/** {@link L2ClippingAwareAdditiveUniformNoiseAttack}, again and again. */
export class L2ClippingAwareRepeatedAdditiveUniformNoiseAttack extends RepeatedNoise {
  protected readonly noise = uniform;
  protected override readonly size = sizedWhenClipped;
}

/** {@link LinfAdditiveUniformNoiseAttack}, again and again. */
export class LinfRepeatedAdditiveUniformNoiseAttack extends RepeatedNoise {
  override readonly norm = Linf;
  protected readonly noise = uniform;
  protected override readonly size = sizedToFit;
}
