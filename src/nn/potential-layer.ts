// A layer that goes against the gradient of a convex potential: y = x - Wᵀ relu(W x + b).

import { networkLipschitzUpperBound } from "../native.js";
import { coefficient, flag, type Options, type Schema } from "../options.js";
import type { Padding } from "../tensor/convolution.js";
import { orthogonal, zeros } from "../tensor/create.js";
import { bytesOf, type TypedArray } from "../tensor/dtype.js";
import type { Pair, Shape } from "../tensor/shape.js";
import { Parameter } from "../tensor/state.js";
import { asTensor, type Tensor } from "../tensor/tensor.js";
import { outsideTrace } from "../tensor/trace.js";
import type { AdjointPair } from "./affine/adjoint.js";
import type { AffineMap } from "./affine/map.js";
import { type AffineValues, checkValues } from "./affine-layer.js";
import type { Definition } from "./definition.js";
import { LipschitzModule, scaled } from "./lipschitz.js";
import type { Module } from "./module.js";
import { refuseOverridden } from "./overridden.js";
import { after, all, atOnce, type Proof, type Proving, provedNow } from "./proof.js";
import { biasNorm, type Rounding } from "./rounding.js";
import { snapshot } from "./snapshot.js";

/** What every layer of this kind takes. */
export const POTENTIAL = { bias: flag(true), kCoefLip: coefficient };

/** The definition of a class of these layers; `pair` makes its map and the way back, from options alone. */
export interface PotentialDefinition<S extends Schema, P extends AdjointPair> extends Definition {
  readonly schema: S;
  pair(options: Options<S>): P;
}

/** A definition with the key and the shape of the weight that its map has. */
export function potential<S extends Schema, P extends AdjointPair>(
  definition: Omit<PotentialDefinition<S, P>, "weight">,
): PotentialDefinition<S, P> {
  const weight = (options: Readonly<Record<string, unknown>>) => ({
    key: "weight",
    shape: definition.pair(options as Options<S>).map.weightShape,
  });
  return { ...definition, weight };
}

/** Options of dense layers of this kind. */
export interface PotentialOptions {
  bias?: boolean;
  kCoefLip?: number | undefined;
}

/** Options of convolutions of this kind. */
export interface PotentialConv2dOptions extends PotentialOptions {
  kernelSize: Pair;
  /** Which must keep the size of images; by default "same". */
  padding?: Padding;
  dilation?: Pair;
  groups?: number;
  paddingMode?: "zeros" | "circular";
  /** Image size [height, width], if it is always the same: others are refused. */
  inputSize?: readonly [number, number] | undefined;
}

interface Settings {
  readonly bias: boolean;
  readonly kCoefLip?: number | undefined;
}

/** What an operation may lose as numbers below 2^-126 count as 0, as certificates count it (docs/certificates.md). */
const FLUSHED = 2 ** -124;
/** The unit roundoff of float32. */
const UNIT = 2 ** -24;

/**
 * y = kCoefLip (x - Wᵀ relu(W x + b)) with a weight that a class makes of its parameters: the gradient step of a convex
 * function (Meunier et al. 2022). Where relu has the slopes D, 0 or 1 each, the Jacobian is I - Wᵀ D W, symmetric with eigenvalues
 * from 1 - ‖W‖² to 1. So the layer is 1-Lipschitz, but for its constant, where ‖W‖² <= 2.
 */
export abstract class PotentialLayer<O extends Settings = Settings> extends LipschitzModule implements Proving {
  /** The parameter `[hidden, in]` or `[hidden, in / groups, kh, kw]`. */
  readonly weight: Parameter;
  /** `[hidden]`, 0 at first. */
  declare readonly bias: Parameter | undefined;
  readonly options: O;
  readonly #pair: AdjointPair;

  constructor(options: O, pair: AdjointPair, values?: AffineValues) {
    super(options.kCoefLip);
    this.options = options;
    this.#pair = pair;
    if (values !== undefined) checkValues(values, pair.map, options);
    this.weight = new Parameter(values?.weight ?? outsideTrace(() => initialWeight(pair.map)), { name: "weight" });
    if (options.bias) this.bias = new Parameter(values?.bias ?? zeros([pair.map.outputs]), { name: "bias" });
  }

  /** The weight `[hidden, in]` or `[hidden, in / groups, kh, kw]` and the bias `[hidden]` that are computed with. */
  abstract effective(): AffineValues;

  /** What {@link effective} gives, of the shapes that the map has. */
  #values(): AffineValues {
    const values = this.effective();
    checkValues(values, this.#pair.map, this.options);
    return values;
  }

  forward(x: Tensor): Tensor {
    const { weight, bias } = this.#values();
    const { map, back, adjoint } = this.#pair;
    const hidden = map.apply(asTensor("a layer", x), weight, bias).relu();
    return scaled(x.sub(back.apply(hidden, adjoint(weight), undefined)), this.kCoefLip);
  }

  override get inputShape(): readonly (number | undefined)[] {
    return this.#pair.map.inputShape;
  }

  /** kCoefLip max(1, ‖W‖² - 1), of a proved bound of the norm of the effective weight. */
  lipschitzBound(): number {
    return provedNow(this.lipschitzProof());
  }

  /** A layer with the effective values and the constant of now. */
  protected exported<L extends Module>(make: (kCoefLip: number, values: AffineValues) => L): L {
    refuseOverridden(this, "vanillaExport");
    return snapshot(() => make(this.kCoefLip, this.#values()).inModeOf(this));
  }

  lipschitzProof(sample?: Shape): Proof<number> {
    refuseOverridden(this, "lipschitzBound");
    const [{ map }, { kCoefLip }] = [this.#pair, this];
    return {
      from: [this.#values().weight],
      follows: (weight) => after(map.bound(bytes(weight), sample), (norm) => bound(norm, kCoefLip)),
    };
  }

  override rounding(results: number): Rounding {
    return provedNow(this.roundingProof(results));
  }

  /**
   * With n and m for the roundings there and back, G and H for the gains of W and Wᵀ, h = relu(W x + b) is off by gamma_n M, M =
   * G ‖x‖ + ‖b‖, and Wᵀ h by ‖W‖ gamma_n M + H gamma_m (1 + gamma_n) M, at most A gamma_(n + m) M with the mean A = (n ‖W‖ + m H) / (n + m).
   * The difference rounds once more, so that it is off by gamma_N ((1 + A G) ‖x‖ + A ‖b‖) with N = n + m + 1.
   */
  roundingProof(results: number, sample?: Shape): Proof<Rounding> {
    const [{ map, back, adjoint, hidden }, { kCoefLip }] = [this.#pair, this];
    const { weight, bias } = this.#values();
    const between = hidden(results);
    const [n, m] = [map.rounding, back.rounding];
    const follows = (
      [norm = 0, there = 0, backward = 0]: readonly number[],
      biases: TypedArray | undefined,
    ): Rounding => {
      // All of them are at least the norm.
      const [G, H] = [Math.max(norm, there), Math.max(norm, backward)];
      const mean = (n.roundings * norm + m.roundings * H) / (n.roundings + m.roundings);
      const roundings = n.roundings + m.roundings + 1 + (kCoefLip === 1 ? 0 : 1);
      const added = biases === undefined ? 0 : biasNorm(biases, between);
      const scale = Math.max(1, kCoefLip) * (1 + SLACK);
      // What both ways may flush: numbers, and parts of the norms of what goes in.
      const perInput = norm * Math.sqrt(between * (n.roundings + 1) * n.copies);
      const perHidden = Math.sqrt(results * (m.roundings + 1) * m.copies);
      const numbers =
        norm * ((n.roundings + 2) * Math.sqrt(between) + G * Math.sqrt(results)) +
        (m.roundings + 4) * Math.sqrt(results) +
        H * Math.sqrt(between) +
        2 * perHidden * added;
      const flushed = scale * (perInput + 2 * perHidden * G + Math.sqrt(results));
      return {
        roundings,
        offset: scale * Math.max(1, H) * added,
        // What flushes in proportion to what goes in is no more than gamma_N, at least N u, times a part of the gain.
        gain: kCoefLip * (1 + SLACK) * (1 + mean * G) + (flushed * FLUSHED) / (roundings * UNIT),
        peak: scale * Math.max(G, 1 + H * G),
        lost: scale * FLUSHED * numbers,
      };
    };
    return {
      from: [weight, adjoint(weight), ...(bias === undefined ? [] : [bias])],
      follows: (values, turned, biases) => {
        const bounds = [map.bound(bytes(values), sample), map.gain?.(bytes(values)), back.gain?.(bytes(turned))];
        return after(all(bounds.map((one) => one ?? atOnce(() => 0))), (found) => follows(found, biases));
      },
    };
  }
}

function bytes(values: TypedArray | undefined): Uint8Array {
  return bytesOf(values ?? new Float32Array());
}

/** Orthogonal, in the middle of a kernel. */
function initialWeight({ weightShape: [hidden = 1, inputs = 1, ...kernel] }: AffineMap): Tensor {
  const before = kernel.map((n) => Math.floor((n - 1) / 2));
  const after = kernel.map((n, axis) => n - 1 - (before[axis] ?? 0));
  const taps = orthogonal(hidden, inputs).reshape([hidden, inputs, ...kernel.map(() => 1)]);
  return taps.pad([0, 0, ...before], [0, 0, ...after]);
}

/** More than some dozen operations of float64 may lose. */
const SLACK = 1e-12;

/** kCoefLip max(1, norm² - 1), rounded up. */
function bound(norm: number, kCoefLip: number): number {
  const squared = product(norm, norm);
  return product(kCoefLip, squared <= 2 ? 1 : product(squared - 1, 1 + 2 * Number.EPSILON));
}

/** At least the product of two numbers. */
function product(...factors: readonly number[]): number {
  return networkLipschitzUpperBound(factors.map((lipschitz, from) => ({ kind: "layer", from, layer: { lipschitz } })));
}
