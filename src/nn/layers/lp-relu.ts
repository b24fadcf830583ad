// LPReLU: a leaky ReLU whose slopes are learnt and bounded.
import { coefficient, number, type Options, whole } from "../../options.js";
import { full } from "../../tensor/create.js";
import { Parameter } from "../../tensor/state.js";
import type { Tensor } from "../../tensor/tensor.js";
import { alongChannels, checkChannels, checkCount } from "../channels.js";
import { type Definition, optionsOf } from "../definition.js";
import { LipschitzModule, roundDownToFloat32 } from "../lipschitz.js";
import { atOnce, type Proof, type Proving, provedNow, settled } from "../proof.js";
import type { Rounding } from "../rounding.js";
import type { ActivationOptions } from "../scaled.js";
import { snapshot } from "../snapshot.js";

const definition = {
  type: "LPReLU",
  positional: [],
  schema: {
    numParameters: whole(1, 1),
    init: number("finite", Number.isFinite, 0.25),
    kCoefLip: coefficient,
  },
  weight: (options: Readonly<Record<string, unknown>>) => ({
    key: "weight",
    shape: [options["numParameters"] as number],
  }),
} satisfies Definition;

/** Options of {@link LPReLU}. */
export interface LPReLUOptions extends ActivationOptions {
  /** One slope for all channels, or as many as there are channels; by default 1. */
  numParameters?: number;
  /** The slope that all start from, by default 0.25; where that is not below kCoefLip, half of that, with the sign of this. */
  init?: number;
}

/**
 * x where x is positive, a x elsewhere: the slope a of a channel (axis 1) is its `weight`, limited to [-kCoefLip, kCoefLip] and with no
 * gradient at the limits and beyond, as in torchlip: a slope that starts or gets there is not learnt any more. One that nobody has given
 * or read therefore starts within them, whatever constant a container leaves to the layer. With a kCoefLip below 1 positive values are scaled by it, so that the layer is
 * kCoefLip-Lipschitz; torchlip leaves them, and is not.
 */
export class LPReLU extends LipschitzModule implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly weight: Parameter;
  /** What the weight starts from, unless it is given. */
  #start: Tensor | undefined;

  constructor(options?: LPReLUOptions, values?: { weight: Tensor }) {
    const all = optionsOf(definition, [], options);
    super(all.kCoefLip);
    this.options = all;
    const weight = values?.weight ?? this.#within();
    checkCount("the weight of an LPReLU", weight, all.numParameters);
    this.weight = new Parameter(weight, { name: "weight" });
    if (values === undefined) this.#start = weight;
  }

  protected override shareChanged(): void {
    if (this.#start === undefined || this.weight.initial !== this.#start) return;
    this.#start = this.#within();
    this.weight.restart(this.#start);
  }

  forward(x: Tensor): Tensor {
    const { numParameters } = this.options;
    checkChannels("LPReLU", x, numParameters === 1 ? undefined : numParameters);
    const rising = this.#rising;
    return x.greater(0).where(rising === 1 ? x : x.mul(rising), x.mul(alongChannels(this.#slopes(), numParameters, x)));
  }

  /** The largest slope. */
  lipschitzBound(): number {
    return provedNow(this.lipschitzProof());
  }

  lipschitzProof(): Proof<number> {
    const rising = this.#rising;
    const largest = (slopes: ArrayLike<number>): number =>
      Array.from(slopes).reduce((most, slope) => Math.max(most, Math.abs(slope)), rising);
    return { from: [this.#slopes()], follows: (slopes = new Float32Array()) => atOnce(() => largest(slopes)) };
  }

  /** A product, by one slope or the other. */
  override rounding(): Rounding {
    return { roundings: 1, offset: 0 };
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }

  /** The same with the slopes of now. */
  vanillaExport(): LPReLU {
    const { kCoefLip, options } = this;
    return snapshot(() => new LPReLU({ ...options, kCoefLip }, { weight: this.#slopes() }));
  }

  /** The slope of positive values. */
  get #rising(): number {
    return Math.min(1, this.#most);
  }

  /** The limit of the slopes. */
  get #most(): number {
    return roundDownToFloat32(this.kCoefLip);
  }

  /** The slopes of the beginning, which have a gradient. */
  #within(): Tensor {
    const { numParameters, init } = this.options;
    const most = this.#most;
    return full([numParameters], Math.abs(Math.fround(init)) < most ? init : (Math.sign(init) * most) / 2);
  }

  /** The slopes of the others. */
  #slopes(): Tensor {
    const { weight } = this;
    const most = this.#most;
    return weight.abs().less(most).where(weight, weight.clip(-most, most).stopGradient());
  }
}
