// LayerCentering: the mean of each sample is taken off.
import { TslipError } from "../../errors.js";
import { flag, type Options, whole } from "../../options.js";
import { zeros } from "../../tensor/create.js";
import { axesOf, axisOf, type Shape, showShape, sizeOf } from "../../tensor/shape.js";
import { Parameter } from "../../tensor/state.js";
import type { Tensor } from "../../tensor/tensor.js";
import { axes } from "../axes.js";
import { alongChannels, checkChannels, checkCount } from "../channels.js";
import { type Definition, optionsOf } from "../definition.js";
import { Module } from "../module.js";
import { atOnce, type Proof, type Proving, provedNow, settled } from "../proof.js";
import { biasNorm, type Rounding } from "../rounding.js";
import { snapshot } from "../snapshot.js";

const definition = {
  type: "LayerCentering",
  positional: ["numFeatures"],
  schema: { numFeatures: whole(1), dim: axes([-2, -1]), bias: flag(true) },
} satisfies Definition;

/** Options of {@link LayerCentering}. */
export interface LayerCenteringOptions {
  /** The axes over which the mean is taken, by default the last two; never that of the samples. */
  dim?: readonly number[];
  /** Whether a learnt number is added to each channel. */
  bias?: boolean;
}

/** x less its mean over `dim`, plus a bias for each of the `numFeatures` channels (axis 1): a projection, so 1-Lipschitz in any mode. */
export class LayerCentering extends Module implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  declare readonly bias: Parameter | undefined;

  constructor(
    readonly numFeatures: number,
    options?: LayerCenteringOptions,
    values?: { bias: Tensor },
  ) {
    super();
    this.options = optionsOf(definition, [numFeatures], options);
    const bias = values?.bias ?? zeros([numFeatures]);
    checkCount("the bias of a LayerCentering", bias, numFeatures);
    this.bias = this.options.bias ? new Parameter(bias, { name: "bias" }) : undefined;
  }

  forward(x: Tensor): Tensor {
    const { dim, numFeatures } = this.options;
    checkChannels("LayerCentering", x, numFeatures);
    const over = axesOf(dim, x.rank);
    if (over.includes(0)) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `dim ${showShape(dim)} of LayerCentering has the axis of the samples in ${showShape(x.shape)}`,
        { shapes: [x.shape] },
      );
    }
    const centred = x.sub(x.mean(over, { keepdims: true }));
    const { bias } = this;
    return bias === undefined ? centred : centred.add(alongChannels(bias, numFeatures, x));
  }

  override get lipschitzByConstruction(): boolean {
    return true;
  }

  override lipschitzBound(): number {
    return 1;
  }

  lipschitzProof(): Proof<number> {
    return settled(1);
  }

  override rounding(results: number, sample?: Shape): Rounding {
    return provedNow(this.roundingProof(results, sample));
  }

  /** Of m values: their sum m - 1, 1 / m and the product with it 2, two sums. Without a shape m may be as many as there are. */
  roundingProof(results: number, sample?: Shape): Proof<Rounding> {
    const { dim } = this.options;
    const rank = (sample?.length ?? 0) + 1;
    const m = sample === undefined ? results : sizeOf(dim.map((axis) => sample[axisOf(axis, rank) - 1] ?? 1));
    const { bias } = this;
    return {
      from: bias === undefined ? [] : [bias],
      follows: (values) =>
        atOnce(() => ({
          roundings: m + 4,
          offset: values === undefined ? 0 : biasNorm(values, results),
          peak: Math.sqrt(m),
        })),
    };
  }

  /** The same with the bias of now. */
  override vanillaExport(): LayerCentering {
    const { numFeatures, bias, options } = this;
    const { dim } = options;
    return snapshot(() =>
      bias === undefined
        ? new LayerCentering(numFeatures, { dim, bias: false })
        : new LayerCentering(numFeatures, { dim }, { bias }),
    );
  }
}
