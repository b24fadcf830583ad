// A linear classifier whose nearest adversarials are known.
import { Linear, randn, type Tensor, tensor } from "tslip";

export const FEATURES = 5;
export const CLASSES = 3;

/** A linear classifier on [0, 1]^5, with the distance of each image to its nearest hyperplane, bounds left aside. */
export function problem(): { model: Linear; images: Tensor; labels: number[]; nearest: number[] } {
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
      return ((row[own] ?? 0) - value) / Math.hypot(...between);
    });
    return Math.min(...distances);
  });
  return { model, images, labels, nearest };
}
