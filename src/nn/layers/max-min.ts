// MaxMin: the positive and the negative part side by side (Blot et al. 2016).
import { TslipError } from "../../errors.js";
import { coefficient, type Options } from "../../options.js";
import { axisOf, type Shape, showShape, sizeOf } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { axis } from "../axes.js";
import { type Definition, optionsOf } from "../definition.js";
import { fixed } from "../pieces.js";
import { type ActivationOptions, ScaledLayer } from "../scaled.js";

const definition = {
  type: "MaxMin",
  positional: [],
  schema: { dim: axis(1), kCoefLip: coefficient },
} satisfies Definition;

/** Options of {@link MaxMin}. */
export interface MaxMinOptions extends ActivationOptions {
  /** The axis that becomes twice as long, by default that of the channels, 1. Never that of the samples. */
  dim?: number;
}

function maxMin(x: Tensor, dim: number): Tensor {
  const at = axisOf(dim, x.rank);
  if (at > 0) return x.relu().concat(x.neg().relu(), at);
  throw new TslipError("SHAPE_MISMATCH", `dim ${dim} of MaxMin is the axis of the samples in ${showShape(x.shape)}`, {
    shapes: [x.shape],
  });
}

/** max(x, 0), then max(-x, 0), along an axis: the norm of x is kept, so it is `kCoefLip`-Lipschitz and as large. */
export class MaxMin extends ScaledLayer {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;

  constructor(options?: MaxMinOptions) {
    const all = optionsOf(definition, [], options);
    // Both halves stand one after the other along the axis behind that of the samples alone.
    const pieces = (sample: Shape, scale: number) =>
      axisOf(all.dim, sample.length + 1) === 1 ? fixed({ kind: "maxMin", inputs: sizeOf(sample), scale }) : undefined;
    super(all.kCoefLip, { compute: (x) => maxMin(x, all.dim), keepsNorm: true, pieces });
    this.options = all;
  }

  vanillaExport(): MaxMin {
    return new MaxMin({ dim: this.options.dim, kCoefLip: this.kCoefLip });
  }
}
