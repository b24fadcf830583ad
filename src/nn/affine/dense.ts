// Dense maps: x Wᵀ + b over the last axis.
import { TslipError } from "../../errors.js";
import type { Attributes, Work } from "../../native.js";
import { type Options, whole } from "../../options.js";
import { type Shape, showShape, sizeOf } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { sumRoundings } from "../rounding.js";
import type { AffineMap } from "./map.js";
import { matrixBound, rowDistances } from "./proving.js";

export const DENSE = { inFeatures: whole(1), outFeatures: whole(1) };

/** Of more rows the distances of all pairs are too many. */
const MOST_ROWS = 1024;

/** Weight `[out, in]`. */
export class Dense implements AffineMap {
  readonly weightShape: readonly [number, number];
  readonly factor = 1;
  readonly gain = undefined;

  constructor({ inFeatures, outFeatures }: Options<typeof DENSE>) {
    this.weightShape = Object.freeze([outFeatures, inFeatures] as const);
    Object.freeze(this);
  }

  get outputs(): number {
    return this.weightShape[0];
  }

  get fanIn(): number {
    return this.weightShape[1];
  }

  get inputShape(): readonly number[] {
    return [this.weightShape[1]];
  }

  apply(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    this.#check(x);
    const y = x.matmul(weight, { transposeB: true });
    return bias === undefined ? y : y.add(bias);
  }

  /** Refuses what has no axis of samples or another number of features, and says how it becomes what is taken. */
  #check(x: Tensor): void {
    const [outputs, features] = this.weightShape;
    if (x.rank > 1 && x.shape.at(-1) === features) return;
    let hint = `it was made for ${features} features`;
    if (x.size === features) hint = "one sample is a batch of one: unsqueeze(0)";
    else if (sizeOf(x.shape.slice(1)) === features) hint = "put new Flatten() before it";
    throw new TslipError("SHAPE_MISMATCH", `this layer takes [n, ${features}]; given ${showShape(x.shape)}; ${hint}`, {
      op: "matmul",
      shapes: [x.shape, [outputs, features]],
    });
  }

  bound(weight: Uint8Array): Work<number> {
    return matrixBound(weight, this.weightShape);
  }

  get distances(): ((weight: Uint8Array) => Work<Float64Array>) | undefined {
    return this.outputs > MOST_ROWS ? undefined : (weight) => rowDistances(weight, this.weightShape);
  }

  piece([inputs, ...further]: Shape, bias: boolean): Attributes | undefined {
    return further.length > 0 ? undefined : { kind: "dense", weight: 0, bias: bias ? 1 : null, inputs: inputs ?? 1 };
  }

  get rounding() {
    const [rows, terms] = this.weightShape;
    return { roundings: sumRoundings(terms, Math.min(rows, terms)), copies: 1 };
  }
}
