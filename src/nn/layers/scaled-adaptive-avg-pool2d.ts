// ScaledAdaptiveAvgPool2d: averages of as many windows as are asked for, scaled to keep a Lipschitz constant.
import { coefficient, type Options } from "../../options.js";
import { tensor } from "../../tensor/create.js";
import { Tensor } from "../../tensor/tensor.js";
import { type AdaptiveOptions, AdaptiveWindows, OUTPUT_SIZE, shareOf } from "../adaptive.js";
import { type Definition, optionsOf } from "../definition.js";
import { boundOfNormalized, roundDownToFloat32 } from "../lipschitz.js";
import { KeepingLayer } from "../scaled.js";

const definition = {
  type: "ScaledAdaptiveAvgPool2d",
  positional: [],
  schema: { ...OUTPUT_SIZE, kCoefLip: coefficient },
} satisfies Definition;

/**
 * The squared norm of averages along an axis is at most the largest sum of a row of their matrix, 1, times its largest sum of a column.
 * Sums are multiplied by all that is left, which is at most `kCoefLip`.
 */
function averages(x: Tensor, windows: AdaptiveWindows, kCoefLip: number): Tensor {
  const sums = windows.pooled(x, (part, kernel, stride) => Tensor.make("window_sum2d", { kernel, stride }, [part]));
  const [rows, columns] = windows.over(x.shape);
  const scale = kCoefLip / Math.sqrt(shareOf(rows) * shareOf(columns));
  const scales = rows.flatMap((row) =>
    columns.map((column) => roundDownToFloat32(scale / (row.length * column.length))),
  );
  return sums.mul(tensor(scales, [1, 1, rows.length, columns.length]));
}

/**
 * The averages that PyTorch's AdaptiveAvgPool2d takes, NCHW, all with one scale: where windows are of one size and do not overlap it is
 * the root of a window's pixels. Where the output does not divide the image, windows overlap and differ in size.
 */
export class ScaledAdaptiveAvgPool2d extends KeepingLayer {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;

  constructor(options: AdaptiveOptions) {
    const all = optionsOf(definition, [], options);
    const windows = new AdaptiveWindows(all.outputSize);
    super(all.kCoefLip, {
      compute: (x, k) => averages(x, windows, k),
      // The norm of the averages, times their scale, whatever the size of the images.
      lipschitz: (k) => boundOfNormalized(k),
      // As ScaledAvgPool2d, for the sums along one axis and for those along the other.
      rounding: (_, sample) => {
        const [rows, columns] = windows.longest(sample);
        return { roundings: rows + columns - 1, offset: 0, peak: Math.ceil(Math.sqrt(rows * columns)) };
      },
    });
    this.options = all;
  }

  vanillaExport(): ScaledAdaptiveAvgPool2d {
    return new ScaledAdaptiveAvgPool2d({ ...this.options, kCoefLip: this.kCoefLip });
  }
}
