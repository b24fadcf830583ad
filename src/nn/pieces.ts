// What a layer computes of one sample, said in terms that a local certificate follows: see `Piece` in crates/certify.
import type { Attributes } from "../native.js";
import type { Shape } from "../tensor/shape.js";
import { sizeOf } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Windows } from "./windows.js";

/** Parts of a layer, one after another; `from` holds the tensors that they refer to by their places, which depend on states alone. */
export interface Pieces {
  readonly from: readonly Tensor[];
  readonly parts: readonly Attributes[];
}

/**
 * The method of the library's layers that says their {@link Pieces} for samples of a shape: a name that no class from outside has, as what it says
 * is believed where it cannot be looked at.
 */
export const PIECES: unique symbol = Symbol("pieces");

/** Of a layer that gives the numbers it is given, in their order. */
export const SAME: Pieces = { from: [], parts: [] };

/** Parts of a layer without weights. */
export const fixed = (...parts: readonly Attributes[]): Pieces => ({ from: [], parts });

/** Channels of a sample `[channels, ...]`, and how many numbers each has. */
export function channelsOf(sample: Shape): { channels: number; places: number } {
  const [channels = 1, ...places] = sample;
  return { channels, places: sizeOf(places) };
}

/** Windows within images that are samples `[channels, height, width]`, where they have no padding and none ends outside; else nothing. */
export function windowsOf(windows: Windows, sample: Shape): Attributes | undefined {
  const [channels, ...image] = sample;
  const { kernel, stride, padding, dilation, ceilMode } = windows;
  const plain = padding.every((n) => n === 0) && dilation.every((n) => n === 1);
  const ends = image.every((extent, axis) => (extent - (kernel[axis] ?? 1)) % (stride[axis] ?? 1) === 0);
  if (image.length !== 2 || channels === undefined || !plain || (ceilMode && !ends)) return undefined;
  return { channels, image, kernel, stride };
}
