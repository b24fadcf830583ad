// Logits of classes: what losses, metrics, attacks and certificates take for them, and which class they tell.
import { TslipError } from "./errors.js";
import type { TypedArray } from "./tensor/dtype.js";
import type { Tensor, Value } from "./tensor/index.js";
import { type Shape, showShape } from "./tensor/shape.js";

/** What to do with one logit where two are needed. */
const OF_ONE =
  "two classes told by the sign of one logit are for HKRLoss, binaryAccuracy() and their like; a Linear(1, 2) with weights -1 and 1 " +
  "behind that logit makes two of it";

/** Throws `SHAPE_MISMATCH` unless logits are `[n, classes]`, of two classes or more; `ofOne` says where to go with one. */
export function checkLogits(who: string, shape: Shape, ofOne = OF_ONE): void {
  const [, classes = 0] = shape;
  if (shape.length === 2 && classes > 1) return;
  const single = shape.length === 2 && classes === 1;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `${who} needs logits of shape [n, classes], of two classes or more; given ${showShape(shape)}` +
      (single ? `; ${ofOne}` : ""),
    { shapes: [shape] },
  );
}

/** The class of the largest logit of each sample (the first of ties), i32 `[n]`; -1 where that is NaN or infinite. */
export function classesOf(logits: Tensor): Tensor {
  return logits.max(1).isFinite().where(logits.argmax(1), -1);
}

/**
 * {@link classesOf} of known logits, without a step of the engine. Throws `NON_FINITE` for the first sample that has none; `inputs`
 * gives the values of what the model was given.
 */
export async function knownClassesOf(
  logits: Value,
  inputs: () => TypedArray | Promise<TypedArray>,
): Promise<Int32Array> {
  const [samples = 0, width = 0] = logits.shape;
  const values = logits.held();
  const classes = new Int32Array(samples);
  for (let sample = 0; sample < samples; sample += 1) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < width; k += 1) {
      const logit = values[sample * width + k] as number;
      if (logit <= largest) continue;
      largest = logit;
      classes[sample] = k;
      // NaN stays.
      if (Number.isNaN(logit)) break;
    }
    if (!Number.isFinite(largest)) throw withoutClass(sample, samples, await inputs());
  }
  return classes;
}

function withoutClass(sample: number, samples: number, inputs: TypedArray): TslipError {
  const size = inputs.length / samples;
  const own = inputs.subarray(sample * size, (sample + 1) * size);
  const wrong = own.findIndex((value: number) => !Number.isFinite(value));
  return new TslipError(
    "NON_FINITE",
    wrong < 0
      ? `the model gives sample ${sample} no class: its largest logit is NaN or infinite, though the sample is finite; look for ` +
          "NaN, infinite or very large weights"
      : `sample ${sample} has the value ${own[wrong]} (element ${wrong}), for which the model gives no class; give finite inputs`,
  );
}
