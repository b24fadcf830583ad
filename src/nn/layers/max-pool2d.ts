// MaxPool2d: the largest of each window, as PyTorch's.
import { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { FixedLayer } from "../fixed.js";
import { WINDOWS, type WindowOptions, Windows } from "../windows.js";

const definition = { type: "MaxPool2d", positional: [], schema: WINDOWS } satisfies Definition;

/**
 * The largest pixel of each window of each channel, NCHW; NaN where one is. Padding is never the largest: it repeats pixels of the
 * border, which windows that reach beyond it read themselves. The gradient goes to the first of the largest, row by row.
 */
export class MaxPool2d extends FixedLayer<typeof definition.schema> {
  static readonly definition: Definition = definition;

  constructor(options: WindowOptions) {
    const all = optionsOf(definition, [], options);
    const windows = new Windows(all);
    super(Object.freeze({ ...all, stride: windows.stride }), {
      compute: (x) => largest(x, windows),
      lipschitz: rootOf(windows.overlap),
      // Chooses numbers, of which padding makes copies.
      rounding: () => ({ roundings: 0, offset: 0, copies: windows.size }),
    });
  }
}

function largest(x: Tensor, windows: Windows): Tensor {
  const { kernel, stride } = windows;
  const padded = windows.padded(x, "replicate");
  const places = Tensor.make("window_argmax2d", { kernel, stride }, [padded]);
  return Tensor.make("window_take2d", { kernel, stride }, [padded, places]);
}

/**
 * The root of the most windows that share a pixel, reached where one pixel is the largest of all of these: a window changes by no more
 * than its largest change of a pixel.
 */
function rootOf(overlap: number): number {
  const root = Math.sqrt(overlap);
  return root * root === overlap && Number.isInteger(root) ? root : root * (1 + Number.EPSILON);
}
