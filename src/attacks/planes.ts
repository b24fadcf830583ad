// Nearest points of planes within the bounds, as the borders of a network are that is linear with the gradients at hand.
import { type Tensor, zeros } from "../tensor/index.js";
import { column, type Norm, perSample, rows } from "./norm.js";
import type { Bounds } from "./space.js";

/** Steps of Newton's method for a multiplier; in most cases no pixel gets to its bound after the first few. */
const STEPS = 12;
/** Halvings of the threshold of slopes or gains in L1 norm and for L0: more than float32 has bits. */
const HALVINGS = 40;

/** How far each pixel may go in the direction of a step, at least 0. */
export function roomOf(images: Tensor, step: Tensor, [low, high]: Bounds): Tensor {
  return step.greater(0).where(images.neg().add(high), images.sub(low)).relu();
}

/** A gradient, 0 for pixels that a step down would carry beyond their bounds: a ball that counts on them ends short of the border. */
export function withinReach(gradient: Tensor, images: Tensor, [low, high]: Bounds): Tensor {
  return gradient.greater(0).where(images.lessEqual(low), images.greaterEqual(high)).where(0, gradient);
}

/**
 * The smallest d by the norm with <gradients, d> = gaps and `images` + d within the bounds, to some roundings: where no
 * point within the bounds is on the plane, the corner that is nearest to it. Gaps are `[n]`, with either sign.
 */
export function toPlanes(images: Tensor, gradients: Tensor, gaps: Tensor, bounds: Bounds, norm: Norm): Tensor {
  const sides = gradients.mul(perSample(gaps.sign(), gradients));
  const largest = rows(gradients).abs().max(1);
  const scale = largest.greater(0).where(largest, 1);
  const slope = rows(sides)
    .abs()
    .div(scale.reshape([-1, 1]));
  const room = rows(roomOf(images, sides, bounds));
  const gap = gaps.abs().div(scale);
  const far = {
    L2: () => together(slope, room, gap, slope),
    Linf: () => together(slope, room, gap, slope.sign()),
    L1: () => inTurn(slope, slope, room, gap),
    L0: () => inTurn(slope.mul(room), slope, room, gap),
  }[norm.name]();
  return sides.sign().mul(far.reshape(images.shape));
}

/**
 * Pixels go at their paces until each is at its bound. How much of the gap they close is a concave function of the time, of lines, so that
 * Newton's method comes from below and ends on it.
 */
function together(slope: Tensor, room: Tensor, gap: Tensor, pace: Tensor): Tensor {
  const rise = slope.mul(pace);
  let time = zeros(gap.shape);
  let gone = zeros(slope.shape);
  for (let i = 0; i < STEPS; i++) {
    const speed = gone.less(room).where(rise, 0).sum(1);
    const left = gap.sub(slope.mul(gone).sum(1));
    time = time.add(speed.greater(0).where(left.div(speed), 0));
    gone = pace.mul(time.reshape([-1, 1])).minimum(room);
  }
  return gone.maximum(0);
}

/** Pixels go to their bounds one after another, those of the largest worth first, the last one as far as it takes. */
function inTurn(worth: Tensor, slope: Tensor, room: Tensor, gap: Tensor): Tensor {
  const gain = slope.mul(room);
  let low = zeros(gap.shape);
  let high = worth.max(1);
  for (let i = 0; i < HALVINGS; i++) {
    const middle = low.add(high).mul(0.5);
    const enough = worth.greater(column(middle)).where(gain, 0).sum(1).greater(gap);
    low = enough.where(middle, low);
    high = enough.where(high, middle);
  }
  const whole = worth.greater(column(high));
  const last = worth.greater(column(low)).and(whole.not());
  const left = gap.sub(whole.where(gain, 0).sum(1)).maximum(0);
  const gained = last.where(gain, 0).sum(1);
  const share = gained.greater(0).where(left.div(gained), 0).minimum(1);
  return whole.where(room, last.where(room.mul(column(share)), 0));
}
