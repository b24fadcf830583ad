// What is known of a module where it is a part of something: to flows, tables, bounds and certificates.
import type { Shape } from "../tensor/shape.js";
import type { Parameter } from "../tensor/state.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Answer, Proving } from "./proof.js";
import type { Rounding } from "./rounding.js";

/** A function of a tensor with parameters, and what its class says of it; every `Module` is one. */
export interface Layer extends Proving {
  forward(x: Tensor): Tensor;
  parameters(): readonly Parameter[];
  lipschitzBound(): Answer<number>;
  rounding(results: number, sample?: Shape): Answer<Rounding>;
  /** Shape of a sample, as far as it is fixed. */
  readonly inputShape: readonly (number | undefined)[] | undefined;
}
