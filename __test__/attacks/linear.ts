// A linear classifier whose nearest adversarials are known.
import { Linear, type Norm, randn, type Tensor, tensor } from "tslip";

export const FEATURES = 5;
export const CLASSES = 3;

/** How much the largest <g, d> is of all d of norm 1. */
const duals: Record<Exclude<Norm["name"], "L0">, (g: number[]) => number> = {
  L2: (g) => Math.hypot(...g),
  Linf: (g) => g.reduce((sum, each) => sum + Math.abs(each), 0),
  L1: (g) => Math.max(...g.map(Math.abs)),
};

/** The least number of pixels that lower a lead to 0, each of which moves to the farther bound of [low, high]. */
function fewest(lead: number, gradient: number[], image: number[], [low, high]: readonly [number, number]): number {
  const gains = gradient.map((g, k) => g * ((image[k] ?? 0) - (g > 0 ? low : high)));
  gains.sort((a, b) => b - a);
  let left = lead;
  const last = gains.findIndex((gain) => {
    left -= gain;
    return left <= 0;
  });
  return last < 0 ? Number.POSITIVE_INFINITY : last + 1;
}

/**
 * A linear classifier on [0, 1]^5, with the distance of each image to its nearest hyperplane, by a norm: bounds left aside, but for the
 * number of pixels, which are those of [-3, 3].
 */
export function problem(norm: Norm["name"] = "L2"): {
  model: Linear;
  images: Tensor;
  labels: number[];
  nearest: number[];
} {
  const model = new Linear(FEATURES, CLASSES);
  model.loadStateDict({
    weight: randn([CLASSES, FEATURES], { seed: 1 }),
    bias: randn([CLASSES], { seed: 2 }).mul(0.1),
  });
  const images = tensor(
    Float32Array.from(randn([12, FEATURES], { seed: 3 }).dataSync(), (z) => 0.5 + 0.3 * Math.tanh(z)),
    [12, FEATURES],
  );
  const weight = [...model.weight.dataSync()];
  const logits = [...model.predictSync(images).held()];
  const labels: number[] = [];
  const nearest = Array.from({ length: 12 }, (_, n) => {
    const row = logits.slice(n * CLASSES, (n + 1) * CLASSES);
    const own = row.indexOf(Math.max(...row));
    labels.push(own);
    const distances = row.map((value, c) => {
      if (c === own) return Number.POSITIVE_INFINITY;
      const between = Array.from(
        { length: FEATURES },
        (_, k) => (weight[own * FEATURES + k] ?? 0) - (weight[c * FEATURES + k] ?? 0),
      );
      const lead = (row[own] ?? 0) - value;
      if (norm !== "L0") return lead / duals[norm](between);
      return fewest(lead, between, [...images.dataSync().slice(n * FEATURES, (n + 1) * FEATURES)], [-3, 3]);
    });
    return Math.min(...distances);
  });
  return { model, images, labels, nearest };
}
