// Logits of classes: what losses, metrics, attacks and certificates take for them, and which class they tell.
import { TslipError } from "./errors.js";
import type { TypedArray } from "./tensor/dtype.js";
import type { Tensor } from "./tensor/index.js";
import { type Shape, showShape } from "./tensor/shape.js";

/** In the place of a class: the sample has none. */
const NONE = -1;

/** Throws `SHAPE_MISMATCH` unless logits are `[n, classes]`, of two classes or more. */
export function checkLogits(who: string, shape: Shape): void {
  const [, classes = 0] = shape;
  if (shape.length === 2 && classes > 1) return;
  const single = shape.length === 2 && classes === 1;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `${who} needs logits of shape [n, classes], of two classes or more; given ${showShape(shape)}` +
      (single
        ? "; two classes told by the sign of one logit are for HKRLoss, binaryAccuracy() and their like; a Linear(1, 2) with " +
          "weights -1 and 1 behind that logit makes two of it"
        : ""),
    { shapes: [shape] },
  );
}

/** The class of the largest logit of each sample (the first of ties), i32 `[n]`; -1 where that is NaN or infinite. */
export function classesOf(logits: Tensor): Tensor {
  return logits.max(1).isFinite().where(logits.argmax(1), NONE);
}

/** Throws `NON_FINITE` for the first sample that has none of the classes of {@link classesOf}; `values` gives those of the inputs. */
export async function checkClassesOf(
  classes: TypedArray,
  values: () => TypedArray | Promise<TypedArray>,
): Promise<void> {
  const sample = classes.findIndex((one: number) => one === NONE);
  if (sample < 0) return;
  const inputs = await values();
  const size = inputs.length / classes.length;
  const own = inputs.subarray(sample * size, (sample + 1) * size);
  const wrong = own.findIndex((value: number) => !Number.isFinite(value));
  throw new TslipError(
    "NON_FINITE",
    wrong < 0
      ? `the model gives sample ${sample} no class: its largest logit is NaN or infinite, though the sample is finite; look for ` +
          "NaN, infinite or very large weights"
      : `sample ${sample} has the value ${own[wrong]} (element ${wrong}), for which the model gives no class; give finite inputs`,
  );
}
