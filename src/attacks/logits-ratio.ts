// The difference of logits ratio (Croce and Hein 2020), which no scale of the logits changes.
import type { Tensor } from "../tensor/index.js";

/** Added to what is divided by. */
const SMALL = 1e-12;

/**
 * Leads `[n]` divided by how far the largest logit is from the third, or with `aimed`, for leads of a class whatever its place, from the mean
 * of the third and the fourth. Where there are fewer classes, among which the ratio need not change with the lead, that stays as it is.
 */
export function logitsRatio(leads: Tensor, logits: Tensor, aimed = false): Tensor {
  const [count = 0, classes = 0] = logits.shape;
  if (classes < (aimed ? 4 : 3)) return leads;
  const { values } = logits.sort(1, { descending: true });
  const at = (rank: number): Tensor => values.slice([0, rank], [count, rank + 1]).reshape([count]);
  const low = aimed ? at(2).add(at(3)).mul(0.5) : at(2);
  // A masked class has a logit of -Infinity.
  const spread = low.isFinite().where(at(0).sub(low), 1);
  return leads.div(spread.add(SMALL));
}
