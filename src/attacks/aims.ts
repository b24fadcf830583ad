// Classes that an attack aims at one after another: those of the largest logits before any step.
import { arange, state, type Tensor } from "../tensor/index.js";
import type { Search } from "./attack.js";

/** Classes to reach, and what tells how near each is. */
export interface Aims {
  /** How many an image has. */
  readonly count: number;
  /** What an aim of this place (f32 `[]`, from 0) has to make positive: the lead of its class over the label; `[n]`. */
  rise(logits: Tensor, aim: Tensor): Tensor;
  /** The logarithm of the odds that the class is that of the aim, `[n]`. */
  odds(logits: Tensor, aim: Tensor): Tensor;
}

/** The classes beside the labels `[n, most]`, those of the largest logits first; i32. */
export async function rivals(
  { model, images, classes, count }: Search["task"],
  { classes: labels }: Search["criterion"],
  most: number,
): Promise<Tensor> {
  const own = labels.oneHot(classes).greater(0);
  const order = own.where(Number.POSITIVE_INFINITY, await model.predict(images)).argsort(1, { descending: true });
  return order.slice([0, 1], [count, 1 + Math.min(most, classes - 1)]);
}

/** The logits of one class of each image, `[n]`. That of another may be -Infinity (a masked one), which a product would make NaN. */
export const logitOf = (logits: Tensor, oneHot: Tensor): Tensor => oneHot.greater(0).where(logits, 0).sum(1);

/** The first so many of the {@link rivals}; with targets these alone, which lead over the best of the others. */
export async function aimsOf({ task, criterion }: Search, most: number): Promise<Aims> {
  if (criterion.targeted) {
    return {
      count: 1,
      rise: (logits) => criterion.lead(logits).neg(),
      odds: (logits) => criterion.odds(logits),
    };
  }
  const { classes } = task;
  const order = state(await rivals(task, criterion, most), { batched: true, name: "rivals" });
  const count = order.shape[1] ?? 0;
  const chosen = (aim: Tensor): Tensor => {
    const place = arange(count).cast("f32").equal(aim).cast("f32");
    return order.cast("f32").mul(place).sum(1).cast("i32").oneHot(classes);
  };
  return {
    count,
    rise: (logits, aim) => logitOf(logits, chosen(aim)).sub(logitOf(logits, criterion.classes.oneHot(classes))),
    odds(logits, aim) {
      const one = chosen(aim);
      const others = one.greater(0).where(Number.NEGATIVE_INFINITY, logits).logsumexp(1);
      return logitOf(logits, one).sub(others);
    },
  };
}
