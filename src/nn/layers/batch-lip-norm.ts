// BatchLipNorm: batches are centred channel by channel, then scaled by one number.
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { warn } from "../../node/index.js";
import { flag, type Option, type Options, optional, positive, whole } from "../../options.js";
import { where } from "../../tensor/composite.js";
import { zeros } from "../../tensor/create.js";
import { axesOf, showShape } from "../../tensor/shape.js";
import { assignAll, assignInTurn, Parameter, State } from "../../tensor/state.js";
import { scalar, type Tensor } from "../../tensor/tensor.js";
import { currentTrace, outsideTrace } from "../../tensor/trace.js";
import { axes } from "../axes.js";
import { alongChannels, checkChannels } from "../channels.js";
import { type Definition, optionsOf } from "../definition.js";
import { Module } from "../module.js";
import { atOnce, type Proof, type Proving, provedNow } from "../proof.js";
import { type ScaledLipschitzModule, SharedLipFactory } from "../shared-lip-factory.js";
import { snapshot } from "../snapshot.js";
import { ScaleBiasLayer } from "./scale-bias-layer.js";

/** Options of layers that normalize batches. */
export interface BatchOptions {
  /** The axes over which means are taken: all but that of the channels, 1, as is the default. */
  dim?: readonly number[] | undefined;
  /** Whether a learnt number is added to each channel. */
  bias?: boolean;
}

/** Options of {@link BatchLipNorm}. */
export interface BatchLipNormOptions extends BatchOptions {
  /** Whether the mean is taken off. */
  centering?: boolean;
  /** Whether the result is scaled. */
  normalize?: boolean;
  /** Channels of a variance below this count as if it were 1. */
  eps?: number;
  /** Where the layer is registered, of whose product its scaling factor is a part. It is no part of what is saved or exported. */
  factory?: SharedLipFactory | undefined;
}

/** What {@link BatchLipNorm} and `BatchCentering` have in common. */
export const BATCH = { numFeatures: whole(1), dim: optional(axes()), bias: flag(true) };

const definition = {
  type: "BatchLipNorm",
  positional: ["numFeatures"],
  schema: { ...BATCH, centering: flag(true), normalize: flag(true), eps: positive(1e-5) },
} satisfies Definition;

const FACTORY = {
  factory: optional<SharedLipFactory>({
    read(name, given) {
      if (given instanceof SharedLipFactory) return given;
      throw new TslipError("INVALID_ARGUMENT", `${name} must be a SharedLipFactory; given ${describe(given)}`);
    },
  } satisfies Option<SharedLipFactory>),
};
/** Of a mean of squares, what float32 cannot tell from 0 in its difference from the square of the mean. */
const UNKNOWN = 2 ** -22;
/** The same after the sums over some hundred batches. */
const UNKNOWN_OF_SUMS = 2 ** -17;
/** How much of a variance may be rounding. */
const TOLERATED = 0.1;
/** Stands for the trace where there is none. */
const UNTRACED = {};

/** Mean and mean of squares of each channel, and of how many values they are. */
interface Statistics {
  readonly mean: Tensor;
  readonly meanOfSquares: Tensor;
  readonly count: Tensor;
}

/**
 * y = (x - mean) / sqrt(largest variance) + bias, with means and variances of the `numFeatures` channels (axis 1), as in torchlip. In
 * training they are those of the batch, in evaluation averages over batches, so that each sample is by itself; variances have
 * Bessel's correction, but for a single value, of which there is none. Its Lipschitz constant is the scale, which may be
 * above 1.
 *
 * The variance of evaluation is that of float32, the mean of squares less the square of the mean, as torchlip's states have them: an error of
 * 2^-22 of the squared mean after one batch, and up to some 2^-17 after hundreds. It is good to about a percent where a channel's mean is below
 * 30 deviations; `fit` warns from some 100 on. One below 2^-22 of the mean of squares, or below 0, is nothing but rounding and counts as that of
 * a constant channel. Training is exact whatever the mean is. Inputs with larger means want a `BatchCentering` before.
 *
 * What a batch adds to the statistics is assigned by `forward` in training mode. Where training ends, by `eval()` or with an epoch of
 * `fit`, they become their average, which counts as one batch from then on. Exported it is a {@link ScaleBiasLayer}.
 */
export class BatchLipNorm extends Module implements Proving, ScaledLipschitzModule {
  static readonly definition: Definition = definition;
  readonly options: Partial<Options<typeof definition.schema>>;
  readonly #options: Options<typeof definition.schema>;
  declare readonly bias: Parameter | undefined;
  /** Sum over batches of the means of each channel. */
  readonly runningSumBmean: State;
  /** Batches so far. */
  readonly runningNumBatches: State;
  /** Sum over batches of the means of squares; like the other two, there is none where nothing is scaled. */
  declare readonly runningSumBmeansq: State | undefined;
  /** Sum over batches of the values of a channel. */
  declare readonly runningMeanSamplePerBatches: State | undefined;
  /** The values of a channel in the batches that have been averaged. */
  declare readonly totalNumSamples: State | undefined;
  /** What the last batch of each recording was divided by. */
  readonly #ofBatch = new WeakMap<object, Tensor>();
  #warned = false;

  constructor(
    readonly numFeatures: number,
    options?: BatchLipNormOptions,
  ) {
    super();
    const reading = { ...definition, schema: { ...definition.schema, ...FACTORY } };
    const { factory, ...all } = optionsOf(reading, [numFeatures], options);
    this.options = all;
    this.#options = all;
    factory?.register(this);
    const buffer = (size: number): State => new State(zeros([size]));
    this.bias = all.bias ? new Parameter(zeros([numFeatures])) : undefined;
    this.runningSumBmean = buffer(numFeatures);
    this.runningNumBatches = new State(zeros([1], { dtype: "i32" }));
    if (!all.normalize) return;
    this.runningSumBmeansq = buffer(numFeatures);
    this.runningMeanSamplePerBatches = buffer(1);
    this.totalNumSamples = buffer(1);
  }

  forward(x: Tensor): Tensor {
    const { numFeatures, dim } = this.#options;
    checkChannels(this.constructor.name, x, numFeatures);
    const over = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
    if (dim !== undefined && axesOf(dim, x.rank).join() !== over.join()) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `dim of a ${this.constructor.name} must be all axes but that of the channels: of ${showShape(x.shape)} ${showShape(over)}; ` +
          `given ${showShape(dim)}`,
        { shapes: [x.shape] },
      );
    }
    if (this.training) return this.#trained(x, over);
    const { scale, shift } = this.#folded();
    return x.mul(scale).add(alongChannels(shift, numFeatures, x));
  }

  /**
   * What the result is divided by, 0-d and differentiable: in training mode for the batch that ran through in the same step, else in
   * evaluation. It is 1 where nothing is scaled. Throws `INVALID_ARGUMENT` where no batch has.
   */
  getScalingFactor(training = false): Tensor {
    if (!this.#options.normalize) return scalar(1);
    if (!training) return this.#folded().divisor;
    const ofBatch = this.#ofBatch.get(currentTrace() ?? UNTRACED);
    if (ofBatch !== undefined) return ofBatch;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `no batch ran through this ${this.constructor.name} in training mode in this step; run the model first, or ask for the factor of ` +
        "evaluation, getScalingFactor(false)",
    );
  }

  override get lipschitzByConstruction(): boolean {
    return !this.#options.normalize;
  }

  /** The scale of evaluation. */
  override lipschitzBound(): number {
    return provedNow(this.lipschitzProof());
  }

  lipschitzProof(): Proof<number> {
    return { from: [this.#folded().scale], follows: (scale) => atOnce(() => scale?.[0] ?? Number.NaN) };
  }

  /** Where training ends, the statistics become their average. */
  override setMode(training: boolean): void {
    // Nothing has been seen where nothing is filled.
    if (!training && this.training && this.runningNumBatches.filled) outsideTrace(() => assignAll(this.#averaged()));
    super.setMode(training);
  }

  override async epochEnded(): Promise<void> {
    await assignInTurn(this.#averaged());
    await this.#warnOfRounding();
  }

  /** Says once that evaluation divides by rounding, where means are too large for their deviations. */
  async #warnOfRounding(): Promise<void> {
    const { runningSumBmean: means, runningSumBmeansq: squares } = this;
    if (squares === undefined || !this.#options.centering || this.#warned) return;
    const [mean, square] = await Promise.all([means.data(), squares.data()]);
    const variances = Array.from(square, (value, i) => value - (mean[i] ?? 0) ** 2);
    const channel = square.indexOf(Math.max(...square));
    if (UNKNOWN_OF_SUMS * (square[channel] ?? 0) <= TOLERATED * Math.max(...variances)) return;
    this.#warned = true;
    warn(
      `the mean of channel ${channel} that enters a ${this.constructor.name} is ${(mean[channel] ?? 0).toPrecision(3)}, too large beside ` +
        "the deviations of the channels: in evaluation their variance is lost to the rounding of float32; put a BatchCentering before it, " +
        "or take means off the data",
      "ROUNDING",
    );
  }

  override vanillaExport(): ScaleBiasLayer {
    const { numFeatures } = this.#options;
    return snapshot(() => {
      const { scale, shift } = this.#folded();
      return new ScaleBiasLayer(1, numFeatures, {}, { scalar: scale, bias: shift }).inModeOf(this);
    });
  }

  protected override stateKey(field: string): string {
    return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  }

  #trained(x: Tensor, over: readonly number[]): Tensor {
    const { numFeatures, centering } = this.#options;
    const count = x.size / numFeatures;
    const mean = centering ? x.mean(over) : zeros([numFeatures]);
    const centred = centering ? x.sub(alongChannels(mean, numFeatures, x)) : x;
    const { runningSumBmeansq: squares, runningMeanSamplePerBatches: samples } = this;
    const added: [State, Tensor][] = [
      [this.runningSumBmean, this.runningSumBmean.add(mean)],
      [this.runningNumBatches, this.runningNumBatches.add(1)],
    ];
    let y = centred;
    if (squares !== undefined && samples !== undefined) {
      added.push([squares, squares.add(x.square().mean(over))], [samples, samples.add(count)]);
      // The same number as from the mean of squares, without what is lost where means are large.
      const divisor = this.#divisor(centred.square().mean(over), scalar(count));
      this.#ofBatch.set(currentTrace() ?? UNTRACED, divisor);
      y = y.mul(divisor.reciprocal());
    }
    assignAll(added);
    const { bias } = this;
    return bias === undefined ? y : y.add(alongChannels(bias, numFeatures, x));
  }

  /** Averages over all batches so far. */
  #statistics(): Statistics {
    const batches = this.runningNumBatches.maximum(1).cast("f32");
    const mean = this.runningSumBmean.div(batches);
    const { runningSumBmeansq, runningMeanSamplePerBatches, totalNumSamples } = this;
    if (runningSumBmeansq === undefined || runningMeanSamplePerBatches === undefined || totalNumSamples === undefined) {
      return { mean, meanOfSquares: mean.square(), count: scalar(1) };
    }
    // What has been averaged counts as one batch.
    const count = this.runningNumBatches
      .greater(1)
      .where(runningMeanSamplePerBatches, runningMeanSamplePerBatches.maximum(totalNumSamples));
    return { mean, meanOfSquares: runningSumBmeansq.div(batches), count };
  }

  /** What becomes of the statistics where training ends. */
  #averaged(): [State, Tensor][] {
    const { mean, meanOfSquares, count } = this.#statistics();
    const { runningSumBmeansq, runningMeanSamplePerBatches, totalNumSamples, runningNumBatches } = this;
    const averaged: [State, Tensor][] = [
      [this.runningSumBmean, mean],
      [runningNumBatches, runningNumBatches.minimum(1)],
    ];
    if (runningSumBmeansq === undefined || runningMeanSamplePerBatches === undefined || totalNumSamples === undefined) {
      return averaged;
    }
    const batches = runningNumBatches.maximum(1).cast("f32");
    return [
      ...averaged,
      [runningSumBmeansq, meanOfSquares],
      [runningMeanSamplePerBatches, runningMeanSamplePerBatches.div(batches)],
      [totalNumSamples, count],
    ];
  }

  /** Evaluation as y = scale x + shift, the scale 0-d, one over the divisor, and the shift `[channels]`. */
  #folded(): { readonly scale: Tensor; readonly shift: Tensor; readonly divisor: Tensor } {
    const { mean, meanOfSquares, count } = this.#statistics();
    const variance = meanOfSquares.sub(mean.square());
    const known = where(variance.less(meanOfSquares.mul(UNKNOWN)), 0, variance);
    const divisor = this.#options.normalize ? this.#divisor(known, count) : scalar(1);
    const scale = divisor.reciprocal();
    const centre = mean.mul(scale);
    return { divisor, scale, shift: this.bias === undefined ? centre.neg() : this.bias.sub(centre) };
  }

  /** The root of the largest variance, of variances of `count` values; 0-d. */
  #divisor(variance: Tensor, count: Tensor): Tensor {
    const corrected = variance.mul(count.div(count.sub(1).maximum(1)));
    const counted = where(corrected.less(this.#options.eps), 1, corrected);
    return counted.max().sqrt();
  }
}
