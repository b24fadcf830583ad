// Sequential: layers one after another, and how their Lipschitz constants make up that of the whole.
import { TslipError } from "../errors.js";
import { composeLipschitzBounds } from "../native.js";
import type { Shape } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { checkFlag, coefficientShare, LipschitzModule } from "./lipschitz.js";
import { type Architecture, Module, refuseOverridden } from "./module.js";
import { snapshot } from "./snapshot.js";

/** Options of {@link Sequential}. */
export interface SequentialOptions {
  /** Lipschitz constant of the whole, by default 1. */
  kCoefLip?: number;
  /** `false` makes an ordinary container: no constant is promised or shared out, any layer is welcome. */
  constrained?: boolean;
}

/**
 * Layers one after another. `kCoefLip` K is shared out over the Lipschitz layers: each of the n that have none of their
 * own gets K^(1/n), after the coefficients that were given are divided out; a nested Sequential counts as one layer.
 * A layer that is not Lipschitz by construction is named in a process warning; it is exported as it is.
 */
export class Sequential extends LipschitzModule {
  readonly layers: readonly Module[];
  readonly #constrained: boolean;
  #seen: Shape | undefined;

  constructor(layers: readonly Module[], options: SequentialOptions = {}) {
    super(options.kCoefLip);
    if (!Array.isArray(layers)) {
      throw new TslipError("INVALID_ARGUMENT", "Sequential takes an array of layers, then its options");
    }
    layers.forEach((layer: unknown, i) => {
      if (!(layer instanceof Module)) {
        throw new TslipError(
          "INVALID_ARGUMENT",
          `layer ${i} of the Sequential is no Module; wrap functions in a class with forward()`,
        );
      }
    });
    const { constrained = true } = options;
    checkFlag("constrained", constrained);
    if (!constrained && options.kCoefLip !== undefined) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        "a Sequential that is not constrained keeps no kCoefLip; leave one of the two out",
      );
    }
    this.layers = [...layers];
    this.#constrained = constrained;
    // Lists the parameters once, so that one reached by a loss is known to belong to a module.
    this.namedStates();
    if (!this.#constrained) return;
    this.#shareOut(options.kCoefLip ?? 1, options.kCoefLip !== undefined);
    this.#warn();
  }

  override children(): [string, Module][] {
    return this.layers.map((layer, i) => [String(i), layer]);
  }

  forward(x: Tensor): Tensor {
    this.#seen = x.shape.slice(1);
    return this.layers.reduce((value, layer) => layer.forward(value), x);
  }

  /** Whether a constant is promised for the whole. */
  override get lipschitzByConstruction(): boolean {
    return this.#constrained;
  }

  /** The constant promised for the whole; Infinity for an ordinary container. */
  override get kCoefLip(): number {
    return this.#constrained ? super.kCoefLip : Number.POSITIVE_INFINITY;
  }

  override takeShare(kCoefLip: number, owner: Module): void {
    super.takeShare(kCoefLip, owner);
    this.#shareOut(kCoefLip, true);
  }

  /** The product of the layers' bounds, rounded up. Throws `NOT_LIPSCHITZ` naming the layer that has none. */
  lipschitzBound(): number {
    refuseOverridden(this, "lipschitzBound");
    return composeLipschitzBounds(this.layers.map(boundOf));
  }

  /** An ordinary network with the weights of now, all of one step, in an ordinary container. */
  vanillaExport(): Sequential {
    refuseOverridden(this, "vanillaExport");
    const build = (): Sequential =>
      new Sequential(
        this.layers.map((layer) => layer.vanillaExport()),
        { constrained: false },
      );
    return snapshot(build).train(this.training);
  }

  /** As {@link Module.summary}; without `inputShape` for the samples last seen. */
  override summary(inputShape: Shape | undefined = this.#seen): string {
    return super.summary(inputShape);
  }

  override architecture(): Architecture {
    return {
      type: "Sequential",
      layers: this.layers.map((layer) => layer.architecture()),
      kCoefLip: this.givenCoefficient,
      constrained: this.#constrained,
    };
  }

  #shareOut(total: number, asked: boolean): void {
    const members = this.layers.filter(
      (layer): layer is LipschitzModule => layer instanceof LipschitzModule && layer.lipschitzByConstruction,
    );
    const fixed = members.map((layer) => layer.fixedCoefficient(this)).filter((k) => k !== undefined);
    // A layer that stands twice counts twice.
    const open = members.filter((layer) => layer.fixedCoefficient(this) === undefined);
    if (open.length > 0) {
      const share = coefficientShare(total, fixed, open.length);
      for (const layer of open) layer.takeShare(share, this);
      return;
    }
    const product = fixed.reduce((p, k) => p * k, 1);
    if (asked && product > total) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `all layers have a kCoefLip of their own, and they multiply to ${product}, above the ${total} asked of the Sequential; ` +
          "leave it out for one layer",
      );
    }
    if (product !== 1 && this.givenCoefficient === undefined) super.takeShare(product, this);
  }

  #warn(): void {
    this.layers.forEach((layer, i) => {
      if (layer.lipschitzByConstruction) return;
      process.emitWarning(
        `layer ${i} (${layer.constructor.name}) of a Sequential is not Lipschitz by construction: kCoefLip says nothing about the whole`,
        { type: "TslipWarning", code: "NOT_LIPSCHITZ" },
      );
    });
  }
}

function boundOf(layer: Module, index: number): number {
  return naming(layer, String(index), () => layer.lipschitzBound());
}

/** What `call` gives; a TslipError with the layer's position and class before its message. */
export function naming<T>(layer: Module, position: string, call: () => T): T {
  if (position === "") return call();
  try {
    return call();
  } catch (error) {
    if (!(error instanceof TslipError)) throw error;
    throw new TslipError(error.code, `layer ${position} (${layer.constructor.name}): ${error.message}`, {
      cause: error,
    });
  }
}

/**
 * The layers that are run one after another, with their positions (`"2.0"` is the first layer of the third): a Sequential
 * is opened, and any Sequential in it. Any other module, and a class that overrides `forward`, is one layer.
 */
export function stepsOf(model: Module, position = ""): { layer: Module; position: string }[] {
  if (!(model instanceof Sequential) || model.forward !== Sequential.prototype.forward)
    return [{ layer: model, position }];
  return model.layers.flatMap((layer, i) => stepsOf(layer, position === "" ? String(i) : `${position}.${i}`));
}
