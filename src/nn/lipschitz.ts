// LipschitzModule: a layer whose Lipschitz constant is kept by construction, and arithmetic on such constants.
import { TslipError } from "../errors.js";
import { networkLipschitzUpperBound } from "../native.js";
import { coefficient } from "../options.js";
import { nextFloat32 } from "../tensor/dtype.js";
import { assignAll, type Parameter } from "../tensor/state.js";
import type { Tensor } from "../tensor/tensor.js";
import { observed } from "../tensor/trace.js";
import type { Architecture } from "./definition.js";
import { Module } from "./module.js";
import type { Answer } from "./proof.js";

/** A constant that a container leaves to a layer. */
interface Share {
  readonly kCoefLip: number;
  /** The container, which alone may change it. */
  readonly owner: Module;
  /** Whether a further container has made up its own constant with it. */
  readonly counted: boolean;
}

/** How to put back the shares that are being changed. */
let undo: (() => void)[] | undefined;

/** Runs what hands out shares; where it throws, every layer has the one that it had. */
export function sharing<T>(hand: () => T): T {
  const outer = undo;
  const changes: (() => void)[] = [];
  undo = changes;
  try {
    return hand();
  } catch (error) {
    for (const change of changes.reverse()) change();
    throw error;
  } finally {
    undo = outer;
    outer?.push(...changes);
  }
}

/** A layer that is `kCoefLip`-Lipschitz in the L2 norm whatever its parameters are. */
export abstract class LipschitzModule extends Module {
  readonly #given: number | undefined;
  #share: Share | undefined;

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

  /**
   * The constant that `owner` may not change, and counts on from now on: given to the layer itself, or its share of another
   * container. Undefined where `owner` is to set it.
   */
  fixedCoefficient(owner: Module): number | undefined {
    if (this.#given !== undefined) return this.#given;
    const share = this.#share;
    if (share === undefined || share.owner === owner) return undefined;
    this.#setShare({ ...share, counted: true });
    return share.kCoefLip;
  }

  /** Sets the constant that a container leaves to this layer, which no other may count on at another value. */
  takeShare(kCoefLip: number, owner: Module): void {
    const share = this.#share;
    if (share?.counted && share.kCoefLip !== kCoefLip) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `a ${this.constructor.name} that stands in several containers has kCoefLip ${share.kCoefLip} as its share of one, and another ` +
          `counts on it, so that it cannot become ${kCoefLip}; give the layer a kCoefLip of its own`,
      );
    }
    this.#setShare({ kCoefLip, owner, counted: share?.counted ?? false });
  }

  /**
   * Its constant where that is a share of a container other than `whole` and itself, which `whole` would not hand out again if both were
   * made anew.
   */
  foreignShare(whole?: Module): number | undefined {
    const share = this.#given === undefined ? this.#share : undefined;
    return share === undefined || share.owner === whole || share.owner === this ? undefined : share.kCoefLip;
  }

  /** With a constant that another container has set as its own. */
  override asPartOf(whole: Module): Architecture {
    const kCoefLip = this.foreignShare(whole);
    return kCoefLip === undefined ? this.toJSON() : { ...this.toJSON(), kCoefLip };
  }

  #setShare(share: Share): void {
    const before = this.#share;
    undo?.push(() => {
      this.#share = before;
      this.shareChanged();
    });
    this.#share = share;
    this.shareChanged();
  }

  /** Called where a container has set the constant, or has put it back. */
  protected shareChanged(): void {}

  override get lipschitzByConstruction(): boolean {
    return true;
  }

  /**
   * Makes effective weights the parameters of this layer and of all below it, at one moment, where parametrizations leave an effective
   * weight as it is: what is computed stays the same up to rounding (and to what Björck's iterations have left to do). Layers without
   * a constraint are left alone, and spectral ones with an `epsSpectral`, which would divide by more than the norm again.
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
  return kCoefLip === 1 ? y : y.mul(scaleOf(kCoefLip));
}

/** What {@link scaled} multiplies by. */
export function scaleOf(kCoefLip: number): number {
  return kCoefLip === 1 ? 1 : roundDownToFloat32(kCoefLip);
}

/** Values of a map whose norm is at most sqrt(`squaredNorm`), scaled to a constant of `kCoefLip` up to {@link boundOfNormalized}. */
export function normalized(y: Tensor, kCoefLip: number, squaredNorm: number): Tensor {
  return scaled(y, kCoefLip / Math.sqrt(squaredNorm));
}

/** `kCoefLip`, and what roundings of a scale as that of {@link normalized} may add, of which there are none for a norm of 1. */
export function boundOfNormalized(kCoefLip: number, squaredNorm?: number): number {
  if (squaredNorm === 1) return kCoefLip;
  // Fewer than eight to nearest, each of them by half an EPSILON.
  const factors = [kCoefLip, 1 + 4 * Number.EPSILON];
  return networkLipschitzUpperBound(factors.map((lipschitz, from) => ({ kind: "layer", from, layer: { lipschitz } })));
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
  return nearest <= value ? nearest : nextFloat32(nearest, -1);
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

/**
 * What `count` branches side by side may each have, beside others fixed at `fixed`, so that the root of the sum of squares is `total`;
 * undefined where the others leave nothing. Of no branch it is 0, where the others keep to the total.
 */
export function squareShare(total: number, fixed: readonly number[], count: number): number | undefined {
  // In units of the total no square leaves the range of float64.
  const taken = fixed.reduce((sum, k) => sum + (k / total) ** 2, 0);
  // Shares that made up a total may be rounded by a few units in the last place.
  if (count === 0) return taken <= 1 + (fixed.length + 4) * Number.EPSILON ? 0 : undefined;
  const share = total * Math.sqrt((1 - taken) / count);
  return share > 0 ? share : undefined;
}
