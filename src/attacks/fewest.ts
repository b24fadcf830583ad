// Steps to the near side of a border, as a plane, that leave as few pixels as they can other than those of the image.
import { full, type Tensor, zeros } from "../tensor/index.js";
import { column, dot, L0, L2, perSample, rows, SMALLEST } from "./norm.js";
import { toPlanes } from "./planes.js";
import type { Bounds } from "./space.js";

/** Halvings of the logarithms of the price of a pixel and of the pull of the border. */
const [PRICES, PULLS] = [8, 10];
/** How far these reach in powers of 2, for slopes whose largest is 1 and pixels whose bounds are 1 apart. */
const [LEAST_PRICE, MOST_PRICE] = [-30, 20];
const [LEAST_PULL, MOST_PULL] = [-20, 36];

/** From a step as much of the way to another one as the region holds, in L2 norm; from a longer one as much of it. */
export function partly(first: Tensor, end: Tensor, region: Tensor): Tensor {
  const way = end.sub(first);
  const length = L2.distance(first);
  // The largest share with |first + share * way| <= region.
  const [square, mixed] = [dot(way, way), dot(first, way)];
  const left = length.square().sub(region.square());
  const root = mixed.square().sub(square.mul(left)).maximum(0).sqrt();
  const most = root.sub(mixed).div(square.maximum(SMALLEST)).clip(0, 1);
  const short = region.div(length.maximum(SMALLEST));
  return perSample(left.less(0), first).where(
    first.add(way.mul(perSample(most, first))),
    first.mul(perSample(short, first)),
  );
}

/** Where a step begins, the border as a plane, and what the step must keep to. */
export interface Border {
  /** The images at hand, within the bounds. */
  readonly here: Tensor;
  readonly originals: Tensor;
  /** Of what must fall, by the images. */
  readonly gradients: Tensor;
  /** How much it may rise at most, below 0 where it must fall; `[n]`. */
  readonly gaps: Tensor;
  /** L2 norm of the longest step; f32 `[]`. */
  readonly region: Tensor;
  readonly bounds: Bounds;
}

/**
 * The images after a step d, no longer than the region, with <gradients, d> at most the gaps, of which as few pixels as can be found differ from the
 * originals. A pixel is the original's where |d|² / 2 + pull <gradients, d>, at its smallest within the bounds, is lower by no more than a price: the pull is
 * the smallest that keeps to the gaps, the price the largest with which the step is within the region. These are multipliers of the Lagrangian, so that
 * pixels of about the same worth may stay that need not. What the region holds beside that is a part of the way to the point of the plane of which
 * the fewest of these pixels differ. Where no such step is that short, it is a part of the way to the plane, of pixels that differ already if
 * there are any.
 */
export function towardsFewest({ here, originals, gradients, gaps, region, bounds }: Border): Tensor {
  const [low, high] = bounds;
  const largest = rows(gradients).abs().max(1);
  const scale = largest.greater(0).where(largest, 1);
  const slope = rows(gradients).div(column(scale));
  const width = high - low;
  const [gap, reach] = [gaps.div(scale).div(width), region.div(width)];
  const x = rows(here);
  const [back, down, up] = [rows(originals).sub(x), x.neg().add(low), x.neg().add(high)].map((way) =>
    way.div(width),
  ) as [Tensor, Tensor, Tensor];
  /** Which pixels stay, and where they go. */
  const choose = (price: Tensor, pull: Tensor): { stays: Tensor; step: Tensor } => {
    const pulled = slope.mul(column(pull));
    const free = pulled.neg().maximum(down).minimum(up);
    const worth = back.sub(free).mul(back.add(free).mul(0.5).add(pulled));
    const stays = worth.greater(column(price));
    return { stays, step: stays.where(free, back) };
  };
  const power = (exponent: Tensor): Tensor => exponent.mul(Math.LN2).exp();
  /** The smallest pull that keeps to the gap with this price, and whether a step with both fits. */
  const pulledBy = (price: Tensor): { pull: Tensor; fits: Tensor } => {
    const keeps = (pull: Tensor): Tensor => choose(price, pull).step.mul(slope).sum(1).lessEqual(gap);
    let [weak, strong] = [full(gap.shape, LEAST_PULL), full(gap.shape, MOST_PULL)];
    for (let i = 0; i < PULLS; i++) {
      const middle = weak.add(strong).mul(0.5);
      const enough = keeps(power(middle));
      weak = enough.where(weak, middle);
      strong = enough.where(middle, strong);
    }
    const none = zeros(gap.shape);
    const pull = keeps(none).where(none, power(strong));
    const { step } = choose(price, pull);
    return { pull, fits: step.mul(slope).sum(1).lessEqual(gap).and(L2.distance(step).lessEqual(reach)) };
  };
  let [cheap, dear] = [full(gap.shape, LEAST_PRICE), full(gap.shape, MOST_PRICE)];
  const [least, most] = [pulledBy(power(cheap)), pulledBy(power(dear))];
  cheap = most.fits.where(dear, cheap);
  let pull = most.fits.where(most.pull, least.pull);
  for (let i = 0; i < PRICES; i++) {
    const price = cheap.add(dear).mul(0.5);
    const tried = pulledBy(power(price));
    pull = tried.fits.where(tried.pull, pull);
    cheap = tried.fits.where(price, cheap);
    dear = tried.fits.where(dear, price);
  }
  const stays = choose(power(cheap), pull).stays.reshape(here.shape);
  const begun = stays.where(here, originals);
  const left = gaps.sub(rows(gradients.mul(begun.sub(here))).sum(1)).minimum(0);
  const kept = stays.where(gradients, 0);
  const first = begun.sub(here).add(toPlanes(begun, kept, left, bounds, L2));
  const whole = gaps.sub(rows(gradients.mul(originals.sub(here))).sum(1)).minimum(0);
  const end = originals.sub(here).add(toPlanes(originals, kept, whole, bounds, L0));
  const differs = here.notEqual(originals);
  const any = rows(differs).any(1);
  const usable = perSample(any, here).where(differs.where(gradients, 0), gradients);
  const way = toPlanes(here, usable, gaps.minimum(0), bounds, L2);
  const share = region.div(L2.distance(way).maximum(SMALLEST)).minimum(1);
  const sparse = partly(first, end, region);
  // What rounding makes of the difference to an original is the original.
  const moved = stays.where(here.add(sparse), originals);
  return perSample(least.fits.or(most.fits), here).where(moved, here.add(way.mul(perSample(share, here))));
}
