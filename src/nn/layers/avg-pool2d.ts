// AvgPool2d: averages of windows, as PyTorch's.
import { networkLipschitzUpperBound } from "../../native.js";
import { flag, optional, whole } from "../../options.js";
import { tensor } from "../../tensor/create.js";
import type { Shape } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { FixedLayer } from "../fixed.js";
import { sizeOfImages, WINDOWS, type WindowOptions, Windows } from "../windows.js";

/** Options of {@link AvgPool2d}. */
export interface AvgPoolOptions extends WindowOptions {
  /** Whether the pixels of the padding count; what a window reads beyond them never does. By default they do. */
  countIncludePad?: boolean;
  /** What the sum of each window is divided by; by default the pixels that count. */
  divisorOverride?: number | undefined;
}

const definition = {
  type: "AvgPool2d",
  positional: [],
  schema: { ...WINDOWS, countIncludePad: flag(true), divisorOverride: optional(whole(1)) },
} satisfies Definition;

/** What is averaged over: windows, and what the sum of each of them is divided by. */
interface Averages {
  readonly windows: Windows;
  readonly countIncludePad: boolean;
  /** What every window is divided by, if that is one number for images of every size. */
  readonly divisor: number | undefined;
}

/** The average of each window of each channel, NCHW. */
export class AvgPool2d extends FixedLayer<typeof definition.schema> {
  static readonly definition: Definition = definition;

  constructor(options: AvgPoolOptions) {
    const all = optionsOf(definition, [], options);
    const windows = new Windows(all);
    const { countIncludePad } = all;
    const whole = ([0, 1] as const).every((axis) => windows.fewest(axis, countIncludePad) === windows.kernel[axis]);
    const averages = { windows, countIncludePad, divisor: all.divisorOverride ?? (whole ? windows.size : undefined) };
    super(Object.freeze({ ...all, stride: windows.stride }), {
      compute: (x) => averaged(x, averages),
      lipschitz: boundOf(averages),
      // As ScaledAvgPool2d, with a quotient in the place of the scale.
      rounding: () => ({ roundings: windows.size, offset: 0, peak: Math.ceil(Math.sqrt(windows.size)) }),
    });
  }
}

function averaged(x: Tensor, averages: Averages): Tensor {
  const { windows, divisor = divisors(x.shape, averages) } = averages;
  const { kernel, stride } = windows;
  return Tensor.make("window_sum2d", { kernel, stride }, [windows.padded(x)]).div(divisor);
}

/** The pixels that count in each window, `[1, 1, rows, columns]`. */
function divisors(shape: Shape, { windows, countIncludePad }: Averages): Tensor {
  const [height, width] = sizeOfImages(shape);
  const rows = windows.counts(0, height, countIncludePad);
  const columns = windows.counts(1, width, countIncludePad);
  return tensor(rows, [rows.length, 1])
    .mul(tensor(columns, [1, columns.length]))
    .reshape([1, 1, rows.length, -1]);
}

/**
 * Where all windows have one divisor, the norm of the sums over it. Else along each axis sqrt(overlap / m), m being the fewest pixels that
 * count in a window: the squared norm of a matrix is at most its largest sum of a row, 1, times its largest sum of a column.
 */
function boundOf({ windows, countIncludePad, divisor }: Averages): number {
  const fewest = windows.fewest(0, countIncludePad) * windows.fewest(1, countIncludePad);
  const bound = divisor === undefined ? Math.sqrt(windows.overlap / fewest) : Math.sqrt(windows.squaredNorm) / divisor;
  // Two roundings to nearest, of a quotient and of a root.
  const factors = [bound, 1 + Number.EPSILON];
  return networkLipschitzUpperBound(factors.map((lipschitz, from) => ({ kind: "layer", from, layer: { lipschitz } })));
}
