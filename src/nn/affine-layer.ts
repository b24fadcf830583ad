// A layer that is an affine map times a parametrization of its weight.

import { TslipError } from "../errors.js";
import { flag, type Options, type Schema } from "../options.js";
import { bytesOf, type TypedArray } from "../tensor/dtype.js";
import { type Shape, sameShape, showShape } from "../tensor/shape.js";
import { Parameter } from "../tensor/state.js";
import { asTensor, type Tensor } from "../tensor/tensor.js";
import { outsideTrace } from "../tensor/trace.js";
import type { AffineMap } from "./affine/map.js";
import type { Definition } from "./definition.js";
import { type Initializer, initialWeight } from "./initializer.js";
import { LipschitzModule } from "./lipschitz.js";
import { refuseOverridden } from "./overridden.js";
import type { Parametrization } from "./parametrizations/parametrization.js";
import { PIECES, type Pieces } from "./pieces.js";
import { after, atOnce, type Proof, type Proving, provedNow } from "./proof.js";
import { biasNorm, type Rounding } from "./rounding.js";
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
  readonly initializer?: Initializer | undefined;
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

/** Refuses values of other shapes than the map has, which broadcast to another function, and a bias that should be there or should not. */
export function checkValues(
  { weight, bias }: AffineValues,
  { weightShape, outputs }: AffineMap,
  { bias: biased }: { readonly bias: boolean },
): void {
  const given = [weight.shape, ...(bias === undefined ? [] : [bias.shape])];
  const wanted = [weightShape, ...(biased ? [[outputs]] : [])];
  if (given.length === wanted.length && given.every((shape, i) => sameShape(shape, wanted[i] ?? []))) return;
  const show = (shapes: readonly Shape[]) => shapes.map(showShape).join(" and ");
  throw new TslipError(
    "SHAPE_MISMATCH",
    `the values of the layer must have the shapes ${show(wanted)}; given ${show(given)}`,
    {
      shapes: [weight.shape],
    },
  );
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
    if (values !== undefined) checkValues(values, map, options);
    const { initializer } = options;
    const initial = (): Tensor =>
      initializer === undefined ? parametrization.initialWeight(map) : initialWeight(initializer, map.weightShape);
    const weight = new Parameter(values?.weight ?? outsideTrace(initial), { name: "weight" });
    const bias = options.bias
      ? new Parameter(values?.bias ?? outsideTrace(() => parametrization.initialBias(map)), { name: "bias" })
      : undefined;
    const further = outsideTrace(() => parametrization.initialFactors?.(map) ?? {});
    const factors = Object.entries(further).map(([name, value]) => [name, new Parameter(value, { name })] as const);
    this.#factors = factors.map(([name]) => name);
    // In the order in which PyTorch lists them.
    Object.assign(this, this.takesShares ? { bias, weight } : { weight, bias }, Object.fromEntries(factors));
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
    checkValues({ weight, bias }, this.#map, this.options);
    return this.#map.apply(x, weight, bias);
  }

  protected override condensed(): [Parameter, Tensor][] {
    return this.#parametrization.idempotent === true ? [[this.weight, this.effectiveWeight()]] : [];
  }

  override get lipschitzByConstruction(): boolean {
    return this.#parametrization.constrained;
  }

  override get takesShares(): boolean {
    const { constrained, scaled = constrained } = this.#parametrization;
    return scaled;
  }

  /** The constant that scales the weight, which the layer keeps where it is Lipschitz by construction; Infinity where none does. */
  override get kCoefLip(): number {
    return this.takesShares ? super.kCoefLip : Number.POSITIVE_INFINITY;
  }

  override get inputShape(): readonly (number | undefined)[] {
    return this.map.inputShape;
  }

  /**
   * Proved from the effective weight as it is now, by what takes little time: a certificate may find less. That of a convolution without
   * `inputSize` holds for images of every size, and may be several times the norm on small ones, whose size a certificate knows.
   */
  lipschitzBound(): number {
    return provedNow(this.lipschitzProof());
  }

  lipschitzProof(sample?: Shape): Proof<number> {
    refuseOverridden(this, "lipschitzBound");
    const map = this.#map;
    return {
      from: [this.effectiveWeight()],
      follows: (weight) => map.bound(bytesOf(weight ?? new Float32Array()), sample),
    };
  }

  distancesProof(): Proof<Float64Array> | undefined {
    const { distances } = this.#map;
    if (distances === undefined) return undefined;
    return {
      from: [this.effectiveWeight()],
      follows: (weight) => distances(bytesOf(weight ?? new Float32Array())),
    };
  }

  [PIECES](sample: Shape): Pieces | undefined {
    const { bias } = this;
    const part = this.#map.piece?.(sample, bias !== undefined);
    return part && { from: [this.effectiveWeight(), ...(bias === undefined ? [] : [bias])], parts: [part] };
  }

  override rounding(results: number): Rounding {
    return provedNow(this.roundingProof(results));
  }

  roundingProof(results: number): Proof<Rounding> {
    const [map, { bias }] = [this.#map, this];
    const rounding = (values: TypedArray | undefined, gain: number): Rounding => ({
      ...map.rounding,
      gain,
      offset: values === undefined ? 0 : biasNorm(values, results),
    });
    const added = bias === undefined ? [] : [bias];
    if (map.gain === undefined) return { from: added, follows: (values) => atOnce(() => rounding(values, 0)) };
    return {
      from: [this.effectiveWeight(), ...added],
      follows: (weight, values) => {
        const gain = map.gain?.(bytesOf(weight ?? new Float32Array())) ?? atOnce(() => 0);
        return after(gain, (largest) => rounding(values, largest));
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
