// A layer that is an affine map times a parametrization of its weight.

import { TslipError } from "../errors.js";
import { flag, type Options, type Schema } from "../options.js";
import { bytesOf, type TypedArray } from "../tensor/dtype.js";
import { showShape } from "../tensor/shape.js";
import { Parameter } from "../tensor/state.js";
import { asTensor, type Tensor } from "../tensor/tensor.js";
import { outsideTrace } from "../tensor/trace.js";
import type { AffineMap } from "./affine/map.js";
import type { Definition } from "./definition.js";
import { LipschitzModule } from "./lipschitz.js";
import { refuseOverridden } from "./overridden.js";
import type { Parametrization } from "./parametrizations/parametrization.js";
import { atOnce, both, type Proof, type Proving, provedNow } from "./proof.js";
import { biasNorm, type Rounding, relativeTo } from "./rounding.js";
import { snapshot } from "./snapshot.js";

/** What every affine layer takes. */
export const BIAS = { bias: flag(true) };

/** What an affine layer is made of. */
export interface AffineParts {
  readonly map: AffineMap;
  readonly parametrization: Parametrization;
}

/** Values to start from instead of initial ones. */
export interface AffineValues {
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
}

/** The options that all affine layers have. */
interface AffineOptions {
  readonly bias: boolean;
  readonly kCoefLip?: number | undefined;
}

/** The definition of a class of affine layers; `parts` makes what it consists of, from options alone. */
export interface AffineDefinition<S extends Schema> extends Definition {
  readonly schema: S;
  parts(options: Options<S>): AffineParts;
}

/** A definition with the key and the shape of the weight that its parts have. */
export function affine<S extends Schema>(definition: Omit<AffineDefinition<S>, "weight">): AffineDefinition<S> {
  const weight = (options: Readonly<Record<string, unknown>>) => {
    const { map, parametrization } = definition.parts(options as Options<S>);
    return { key: parametrization.key, shape: parametrization.parameterShape?.(map) ?? map.weightShape };
  };
  return { ...definition, weight };
}

/** Refuses values of other shapes than the map has: what is broadcast is another function. */
export function checkValues({ weight, bias }: AffineValues, { weightShape, outputs }: AffineMap): void {
  const given = [weight.shape, ...(bias === undefined ? [] : [bias.shape])].map(showShape).join(" and ");
  const wanted = [weightShape, ...(bias === undefined ? [] : [[outputs]])].map(showShape).join(" and ");
  if (given === wanted) return;
  throw new TslipError("SHAPE_MISMATCH", `the values of the layer must have the shapes ${wanted}; given ${given}`, {
    shapes: [weight.shape],
  });
}

/** y = W x + b, where W is what the parametrization makes of the parameter `weight`. */
export abstract class AffineLayer<O extends AffineOptions = AffineOptions> extends LipschitzModule implements Proving {
  declare readonly bias: Parameter | undefined;
  /** The parameter; the layer computes with {@link effectiveWeight}. */
  declare readonly weight: Parameter;
  readonly options: O;
  readonly #map: AffineMap;
  readonly #parametrization: Parametrization;
  /** The fields of the parameters beside weight and bias. */
  readonly #factors: readonly string[];

  constructor(options: O, { map, parametrization }: AffineParts, values?: AffineValues) {
    super(options.kCoefLip);
    this.options = options;
    this.#map = map;
    this.#parametrization = parametrization;
    if (values !== undefined) checkValues(values, map);
    const weight = new Parameter(values?.weight ?? outsideTrace(() => parametrization.initialWeight(map)), {
      name: "weight",
    });
    const bias = options.bias
      ? new Parameter(values?.bias ?? outsideTrace(() => parametrization.initialBias(map)), { name: "bias" })
      : undefined;
    const initial = outsideTrace(() => parametrization.initialFactors?.(map) ?? {});
    const factors = Object.entries(initial).map(([name, value]) => [name, new Parameter(value, { name })] as const);
    this.#factors = factors.map(([name]) => name);
    // In the order in which PyTorch lists them.
    Object.assign(this, parametrization.constrained ? { bias, weight } : { weight, bias }, Object.fromEntries(factors));
  }

  get map(): AffineMap {
    return this.#map;
  }

  /** The weight that is computed with: a pure function of the parameters. */
  effectiveWeight(): Tensor {
    const fields = this as unknown as Readonly<Record<string, Tensor>>;
    const factors = Object.fromEntries(this.#factors.map((name) => [name, fields[name] as Tensor]));
    return this.#parametrization.effective(this.weight, this.#map, this.kCoefLip, factors);
  }

  forward(x: Tensor): Tensor {
    asTensor("a layer", x);
    const { bias } = this;
    const weight = this.effectiveWeight();
    // The parameters are fields, and may have been exchanged.
    checkValues({ weight, bias }, this.#map);
    return this.#map.apply(x, weight, bias);
  }

  override get lipschitzByConstruction(): boolean {
    return this.#parametrization.constrained;
  }

  /** The constant that the layer keeps; Infinity where its weight is not constrained. */
  override get kCoefLip(): number {
    return this.#parametrization.constrained ? super.kCoefLip : Number.POSITIVE_INFINITY;
  }

  override get inputShape(): readonly (number | undefined)[] {
    return this.map.inputShape;
  }

  /** Proved from the effective weight as it is now. */
  lipschitzBound(): number {
    return provedNow(this.lipschitzProof());
  }

  lipschitzProof(): Proof<number> {
    refuseOverridden(this, "lipschitzBound");
    const map = this.#map;
    return { from: [this.effectiveWeight()], follows: (weight) => map.bound(bytesOf(weight ?? new Float32Array())) };
  }

  override rounding(results: number): Rounding {
    return provedNow(this.roundingProof(results));
  }

  roundingProof(results: number): Proof<Rounding> {
    const [map, { bias }] = [this.#map, this];
    const offset = (values: TypedArray | undefined): number => (values === undefined ? 0 : biasNorm(values, results));
    if (map.partsBound === undefined) {
      return {
        from: bias === undefined ? [] : [bias],
        follows: (values) => atOnce(() => ({ ...map.rounding, offset: offset(values) })),
      };
    }
    const partsBound = map.partsBound.bind(map);
    return {
      from: bias === undefined ? [this.effectiveWeight()] : [this.effectiveWeight(), bias],
      follows: (values, biases) => {
        const weight = bytesOf(values ?? new Float32Array());
        return both(map.bound(weight), partsBound(weight), (bound, parts) => ({
          ...relativeTo(bound, parts, map.rounding),
          offset: offset(biases),
        }));
      },
    };
  }

  protected override stateKey(field: string): string {
    return field === "weight" ? this.#parametrization.key : field;
  }

  override exchanged(): [string, Tensor][] {
    return this.#parametrization.exchanged(this.weight);
  }

  /** An ordinary layer with the effective weight and the bias of now. */
  abstract override vanillaExport(): AffineLayer;

  /** What {@link vanillaExport} returns, of the values that `make` is given. */
  protected exported<L extends AffineLayer>(make: (values: AffineValues) => L): L {
    refuseOverridden(this, "vanillaExport");
    return snapshot(() => make({ weight: this.effectiveWeight(), bias: this.bias }));
  }
}
