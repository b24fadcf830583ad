// LipschitzModule: a layer whose Lipschitz constant is kept by construction, and arithmetic on such constants.
import { TslipError } from "../errors.js";
import { coefficient } from "../options.js";
import { assignAll, type Parameter } from "../tensor/state.js";
import type { Tensor } from "../tensor/tensor.js";
import { observed } from "../tensor/trace.js";
import { Module } from "./module.js";
import type { Answer } from "./proof.js";

/** A layer that is `kCoefLip`-Lipschitz in the L2 norm whatever its parameters are. */
export abstract class LipschitzModule extends Module {
  readonly #given: number | undefined;
  #share: { readonly kCoefLip: number; readonly owner: Module } | undefined;

  /** `kCoefLip` must be finite and above 0; left out, the Sequential that holds the layer sets it (1 elsewhere). */
  constructor(kCoefLip?: number) {
    super();
    this.#given = coefficient.read("kCoefLip", kCoefLip);
  }

  /** The Lipschitz constant that the layer keeps, up to the rounding of its float32 weights; `lipschitzBound()` is proved. */
  get kCoefLip(): number {
    return observed(() => this.#given ?? this.#share?.kCoefLip ?? 1);
  }

  /** The constant the layer was made with, if any. */
  get givenCoefficient(): number | undefined {
    return this.#given;
  }

  /** The constant that `owner` may not change: given to the layer itself, or its share of another Sequential. */
  fixedCoefficient(owner: Module): number | undefined {
    if (this.#given !== undefined) return this.#given;
    return this.#share === undefined || this.#share.owner === owner ? undefined : this.#share.kCoefLip;
  }

  /** Sets the constant that a Sequential leaves to this layer. */
  takeShare(kCoefLip: number, owner: Module): void {
    this.#share = { kCoefLip, owner };
  }

  override get lipschitzByConstruction(): boolean {
    return true;
  }

  /**
   * Makes effective weights the parameters of this layer and of all below it, at one moment, where parametrizations leave an effective
   * weight as it is: what is computed stays the same up to rounding (and to what Björck's iterations have left to do).
   */
  condense(): void {
    const layers = this.modules().filter((one): one is LipschitzModule => one instanceof LipschitzModule);
    assignAll(layers.flatMap((one) => one.condensed()));
  }

  /** What {@link condense} assigns to parameters of this layer alone. */
  protected condensed(): [Parameter, Tensor][] {
    return [];
  }

  /** Whether `kCoefLip` scales what the layer computes, so that a container leaves it a share. */
  get takesShares(): boolean {
    return this.lipschitzByConstruction;
  }

  abstract override lipschitzBound(): Answer<number>;

  abstract override vanillaExport(): Module;
}

/** Scales by a layer's constant, if it is not 1; the factor in the engine is at most the constant. */
export function scaled(y: Tensor, kCoefLip: number): Tensor {
  return kCoefLip === 1 ? y : y.mul(roundDownToFloat32(kCoefLip));
}

/** The next smaller float64 of a positive one. */
function nextBelow(value: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigInt64(0, view.getBigInt64(0) - 1n);
  return view.getFloat64(0);
}

/** The largest float32 that is at most `value` (positive): a scale in the engine must not exceed the exact one. */
export function roundDownToFloat32(value: number): number {
  const nearest = Math.fround(value);
  if (nearest <= value) return nearest;
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, nearest);
  view.setInt32(0, view.getInt32(0) - 1);
  return view.getFloat32(0);
}

/**
 * The share of `total` for each of `count` layers beside those fixed at `fixed`: (total / product of fixed)^(1/count),
 * rounded down until the product of all is at most `total`.
 */
export function coefficientShare(total: number, fixed: readonly number[], count: number): number {
  const taken = fixed.reduce((product, k) => product * k, 1);
  let share = (total / taken) ** (1 / count);
  const product = (): number => {
    let p = taken;
    for (let i = 0; i < count; i++) p *= share;
    return p;
  };
  while (share > 0 && product() > total) share = nextBelow(share);
  if (!Number.isFinite(share) || share <= 0) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `kCoefLip ${total} cannot be shared: the layers with a coefficient of their own multiply to ${taken}`,
    );
  }
  return share;
}
