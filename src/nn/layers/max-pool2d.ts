// MaxPool2d: the largest of each window, as PyTorch's.
import { pair } from "../../options.js";
import type { Pair } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { FixedLayer } from "../fixed.js";
import { fixed, windowsOf } from "../pieces.js";
import { sideBySide, WINDOWS, type WindowOptions, Windows } from "../windows.js";

/** Options of {@link MaxPool2d}. */
export interface MaxPoolOptions extends WindowOptions {
  /** Pixels from one of a window to the next of it; by default 1, neighbours. */
  dilation?: Pair | undefined;
}

const definition = {
  type: "MaxPool2d",
  positional: [],
  schema: { ...WINDOWS, dilation: pair(1, 1) },
} satisfies Definition;

/**
 * The largest pixel of each window of each channel, NCHW; NaN where one is. Padding is never the largest: it repeats pixels of the
 * border, which windows that reach beyond it read themselves. The gradient goes to the first of the largest, row by row.
 */
export class MaxPool2d extends FixedLayer<typeof definition.schema> {
  static readonly definition: Definition = definition;

  constructor(options: MaxPoolOptions) {
    const all = optionsOf(definition, [], options);
    const windows = new Windows(all);
    super(Object.freeze({ ...all, stride: windows.stride }), {
      compute: (x) => largest(x, windows),
      lipschitz: rootOf(windows.overlap),
      // Chooses numbers, of which padding makes copies.
      rounding: () => ({ roundings: 0, offset: 0, copies: windows.size }),
      pieces: (sample) => {
        const within = windowsOf(windows, sample);
        return within && fixed({ kind: "maxima", ...within });
      },
    });
  }
}

function largest(x: Tensor, windows: Windows): Tensor {
  const { kernel, stride, dilation } = windows;
  if (dilation.every((n) => n === 1)) return largestOf(windows.padded(x, "replicate"), kernel, stride);
  // Columns first: the first of the largest, row by row, is the first in the first row that has one.
  const [rows, columns] = windows.pixels(x);
  const [down, across] = [[kernel[0], 1] as const, [1, kernel[1]] as const];
  return largestOf(sideBySide(largestOf(sideBySide(x, 3, columns), across, across), 2, rows), down, down);
}

function largestOf(x: Tensor, kernel: readonly number[], stride: readonly number[]): Tensor {
  const places = Tensor.make("window_argmax2d", { kernel, stride }, [x]);
  return Tensor.make("window_take2d", { kernel, stride }, [x, places]);
}

/**
 * The root of the most windows that share a pixel, reached where one pixel is the largest of all of these: a window changes by no more
 * than its largest change of a pixel.
 */
function rootOf(overlap: number): number {
  const root = Math.sqrt(overlap);
  return root * root === overlap && Number.isInteger(root) ? root : root * (1 + Number.EPSILON);
}
