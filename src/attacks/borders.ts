// Borders between classes, as DeepFool sees them: those of the network that is linear with the gradients at hand.
import { choice, number, type Option, type Schema, whole } from "../options.js";
import { grad, state, type Tensor } from "../tensor/index.js";
import { logitOf, rivals } from "./aims.js";
import type { Search } from "./attack.js";
import { dualNorm, type Norm, perSample } from "./norm.js";
import { atLeastZero } from "./options.js";

/** Options of the attacks of the family of DeepFool. */
export interface DeepFoolOptions {
  /** At most so many, by default 50. */
  steps?: number;
  /** Classes that are considered, those of the largest logits, the label among them: by default 10; null for all. */
  candidates?: number | null;
  /** By what share steps go beyond the border, by default 0.02. */
  overshoot?: number;
  /** What the borders are between: "logits", as by default, or their logarithmic softmax, "crossentropy". */
  loss?: "logits" | "crossentropy";
}

const several = number(
  "null for all classes, or a whole number >= 2",
  (value) => Number.isSafeInteger(value) && value >= 2,
  10,
);
const candidates: Option<number | null> = {
  read: (name, given) => (given === null ? null : several.read(name, given)),
};

export const DEEPFOOL_OPTIONS = {
  steps: whole(1, 50),
  candidates,
  overshoot: atLeastZero(0.02),
  loss: choice(["logits", "crossentropy"], "logits"),
} satisfies Schema<keyof DeepFoolOptions>;

/** Added to distances, so that steps cross borders that they are on. */
const BEYOND = 1e-4;
/** Added to norms of gradients. */
const SMALL = 1e-8;

/** The steps from images with these logits to their nearest borders. */
export type Borders = (images: Tensor, logits: Tensor) => Tensor;

/**
 * Steps that reach the nearest border of each image, by the norm. Those of the label with the classes of the largest logits before any
 * step; with targets that of the target with the class that leads at the step.
 */
export async function nearestBorders(
  { task, criterion }: Search,
  norm: Norm,
  options: Pick<Required<DeepFoolOptions>, "candidates" | "loss">,
): Promise<Borders> {
  const scores = (logits: Tensor): Tensor => (options.loss === "logits" ? logits : logits.logSoftmax(1));
  const rises = criterion.targeted
    ? (logits: Tensor) => [criterion.lead(scores(logits)).neg()]
    : await risesOfRivals(task, criterion, options.candidates).then((of) => (logits: Tensor) => of(scores(logits)));
  return (images, logits) => {
    const borders = rises(logits).map((rise) => borderOf(rise, images, norm));
    const nearest = borders.reduce((one, other) => {
      const nearer = other.distance.less(one.distance);
      return {
        distance: nearer.where(other.distance, one.distance),
        gradient: perSample(nearer, images).where(other.gradient, one.gradient),
      };
    });
    const reached = nearest.distance.less(Number.POSITIVE_INFINITY).where(nearest.distance, 0);
    return norm.steepest(nearest.gradient).mul(perSample(reached.add(BEYOND), images));
  };
}

interface Border {
  /** How far it is, `[n]`. */
  distance: Tensor;
  /** Of what has to rise to 0, by the images. */
  gradient: Tensor;
}

function borderOf(rise: Tensor, images: Tensor, norm: Norm): Border {
  const [gradient] = grad(rise.sum(), [images]);
  const slope = dualNorm(gradient, norm);
  // Where nothing moves it, as between equal rows of a last layer, no step gets there.
  return { distance: slope.greater(0).where(rise.abs().div(slope.add(SMALL)), Number.POSITIVE_INFINITY), gradient };
}

/** For logits the leads of the classes that may be reached over the label; the most likely of the classes first. */
async function risesOfRivals(
  task: Search["task"],
  criterion: Search["criterion"],
  candidates: number | null,
): Promise<(scores: Tensor) => Tensor[]> {
  const { classes, count } = task;
  const own = criterion.classes.oneHot(classes);
  const order = await rivals(task, criterion, (candidates ?? classes) - 1);
  const chosen = Array.from({ length: order.shape[1] ?? 0 }, (_, k) =>
    state(order.slice([0, k], [count, k + 1]).reshape([count]), { batched: true, name: `rivals of rank ${k + 1}` }),
  );
  return (scores) => chosen.map((rival) => logitOf(scores, rival.oneHot(classes)).sub(logitOf(scores, own)));
}
