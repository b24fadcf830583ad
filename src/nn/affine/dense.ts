// Dense maps: x Wᵀ + b over the last axis.
import { spectralNormUpperBound, type Work } from "../../native.js";
import { type Options, whole } from "../../options.js";
import type { Tensor } from "../../tensor/tensor.js";
import { sumRoundings } from "../rounding.js";
import type { AffineMap } from "./map.js";
import { oneAtATime } from "./proving.js";

export const DENSE = { inFeatures: whole(1), outFeatures: whole(1) };

/** Weight `[out, in]`. */
export class Dense implements AffineMap {
  readonly weightShape: readonly [number, number];
  readonly factor = 1;

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
    const y = x.matmul(weight, { transposeB: true });
    return bias === undefined ? y : y.add(bias);
  }

  bound(weight: Uint8Array): Work<number> {
    return oneAtATime(`dense ${this.weightShape.join()}`, weight, spectralNormUpperBound(weight, ...this.weightShape));
  }

  get rounding() {
    const [rows, terms] = this.weightShape;
    return { roundings: sumRoundings(terms, Math.min(rows, terms)), copies: 1 };
  }
}
