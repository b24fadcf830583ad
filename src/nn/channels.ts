// Channels: axis 1 of what goes through a layer, behind that of the samples.
import { TslipError } from "../errors.js";
import { sameShape, showShape } from "../tensor/shape.js";
import { asTensor, type Tensor } from "../tensor/tensor.js";

/** x, if it has `channels` channels, or without a number any. Throws `SHAPE_MISMATCH` for anything else. */
export function checkChannels(layer: string, x: Tensor, channels?: number): Tensor {
  const { shape } = asTensor(layer, x);
  const given = shape[1];
  if (given !== undefined && (channels === undefined || given === channels)) return x;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `${layer} takes samples [n, ${channels ?? "channels"}, ...], channels on axis 1; given shape ${showShape(shape)}`,
    { shapes: [shape] },
  );
}

/**
 * One value for all channels, or one each, in a shape that goes with x. Throws `SHAPE_MISMATCH` unless there are `count`: a state is a
 * field and may have been exchanged, and what is broadcast otherwise is another function.
 */
export function alongChannels(values: Tensor, count: number, x: Tensor): Tensor {
  checkCount("values of channels", values, count);
  return values.reshape([1, count, ...x.shape.slice(2).map(() => 1)]);
}

/** Refuses values that are not f32 `[count]`. */
export function checkCount(what: string, values: Tensor, count: number): void {
  if (values.dtype === "f32" && sameShape(values.shape, [count])) return;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `${what} must be f32 of shape [${count}]; given ${values.dtype} of shape ${showShape(values.shape)}`,
    { shapes: [values.shape] },
  );
}
