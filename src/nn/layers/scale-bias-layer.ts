// ScaleBiasLayer: what layers that normalize batches become in an export.
import { flag, number, type Options, whole } from "../../options.js";
import { full, zeros } from "../../tensor/create.js";
import type { Shape } from "../../tensor/shape.js";
import { Parameter, State } from "../../tensor/state.js";
import type { Tensor } from "../../tensor/tensor.js";
import { alongChannels, checkChannels, checkCount } from "../channels.js";
import { type Definition, optionsOf } from "../definition.js";
import { Module } from "../module.js";
import { channelsOf, PIECES, type Pieces } from "../pieces.js";
import { atOnce, type Proof, type Proving, provedNow } from "../proof.js";
import { biasNorm, type Rounding } from "../rounding.js";
import { snapshot } from "../snapshot.js";

const definition = {
  type: "ScaleBiasLayer",
  positional: ["scalar", "numFeatures"],
  schema: { scalar: number("finite", Number.isFinite, 1), numFeatures: whole(1, 1), bias: flag(true) },
} satisfies Definition;

/**
 * y = scalar x + bias, with a bias for each of the `numFeatures` channels (axis 1). Only the bias is learnt. In state dictionaries there
 * is the scalar too, 0-d, which torchlip keeps as a field.
 */
export class ScaleBiasLayer extends Module implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly scalar: State;
  declare readonly bias: Parameter | undefined;

  constructor(
    scalar = 1,
    readonly numFeatures = 1,
    options?: { bias?: boolean },
    values?: { scalar: Tensor; bias: Tensor | undefined },
  ) {
    super();
    this.options = optionsOf(definition, [scalar, numFeatures], options);
    this.scalar = new State(values?.scalar ?? full([], scalar), { name: "scalar" });
    const bias = values?.bias ?? zeros([numFeatures]);
    checkCount("the bias of a ScaleBiasLayer", bias, numFeatures);
    this.bias = this.options.bias ? new Parameter(bias, { name: "bias" }) : undefined;
  }

  forward(x: Tensor): Tensor {
    const { numFeatures } = this.options;
    const { bias, scalar } = this;
    if (bias !== undefined) checkChannels("ScaleBiasLayer", x, numFeatures);
    const scaled = x.mul(scalar.reshape([]));
    return bias === undefined ? scaled : scaled.add(alongChannels(bias, numFeatures, x));
  }

  /** The size of the scalar. */
  override lipschitzBound(): number {
    return provedNow(this.lipschitzProof());
  }

  lipschitzProof(): Proof<number> {
    return { from: [this.scalar], follows: (scalar) => atOnce(() => Math.abs(scalar?.[0] ?? Number.NaN)) };
  }

  override rounding(results: number): Rounding {
    return provedNow(this.roundingProof(results));
  }

  /** A product and a sum. */
  roundingProof(results: number): Proof<Rounding> {
    const { bias } = this;
    return {
      from: bias === undefined ? [] : [bias],
      follows: (values) =>
        atOnce(() => ({ roundings: 2, offset: values === undefined ? 0 : biasNorm(values, results) })),
    };
  }

  [PIECES](sample: Shape): Pieces {
    const { bias, scalar } = this;
    const added = bias === undefined ? [] : [bias];
    const part = { kind: "scale", factor: 0, bias: bias === undefined ? null : 1, ...channelsOf(sample) };
    return { from: [scalar, ...added], parts: [part] };
  }

  /** The same with the scalar and the bias of now. */
  override vanillaExport(): ScaleBiasLayer {
    const { numFeatures, scalar, bias, options } = this;
    return snapshot(
      () =>
        new ScaleBiasLayer(options.scalar, numFeatures, { bias: options.bias }, { scalar: scalar.cast("f32"), bias }),
    );
  }
}
