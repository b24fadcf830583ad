// Layers of one's own for tests of certificates, and what goes with models that hold them.
import { Module, type Rounding, type Tensor } from "tslip";
import { afterAll, beforeAll, vi } from "vitest";

/** A layer that computes what it is given, and claims a bound and two roundings. */
export class Claiming extends Module {
  constructor(
    readonly apply: (x: Tensor) => Tensor,
    readonly bound = 1,
  ) {
    super();
  }
  forward(x: Tensor): Tensor {
    return this.apply(x);
  }
  override lipschitzBound(): number | Promise<number> {
    return this.bound;
  }
  override rounding(_results: number): Rounding | Promise<Rounding> {
    return { roundings: 2, offset: 0 };
  }
}

/** An honest layer: 2 x. */
export class Doubling extends Claiming {
  constructor() {
    super((x) => x.mul(2), 2);
  }
}

/** Keeps warnings of layers without a constant off the output of all tests of a file. */
export function silenceWarnings(): void {
  const warn = vi.spyOn(process, "emitWarning");
  beforeAll(() => {
    warn.mockImplementation(() => undefined);
  });
  afterAll(() => warn.mockRestore());
}
