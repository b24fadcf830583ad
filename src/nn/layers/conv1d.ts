// Conv1d: a convolution of sequences, PyTorch's in names, shapes and initial values.

import { among, type Options } from "../../options.js";
import type { PaddingMode } from "../affine/convolution.js";
import { CONVOLUTION_1D, Convolution1d } from "../affine/convolution1d.js";
import { AffineLayer, type AffineValues, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { INITIALIZER, type Initializer } from "../initializer.js";
import { ordinary } from "../parametrizations/ordinary.js";

const definition = affine({
  type: "Conv1d",
  positional: ["inChannels", "outChannels"],
  schema: { ...CONVOLUTION_1D, ...BIAS, ...INITIALIZER },
  parts: (options) => ({ map: new Convolution1d(options), parametrization: ordinary }),
});

/** Options of 1-D convolution layers. */
export interface Conv1dOptions {
  kernelSize: number;
  stride?: number;
  /** Numbers before and after a sequence, `"valid"` (none) or `"same"` (as many come out as go in). */
  padding?: number | "same" | "valid";
  dilation?: number;
  groups?: number;
  bias?: boolean;
  paddingMode?: PaddingMode;
  /** Length of a sequence, if it is always the same: bounds then count the windows of that length alone, and others are refused. */
  inputSize?: number | undefined;
  /** By default uniform in ±1/sqrt(fan in), as in PyTorch. */
  initializer?: Initializer | undefined;
}

/** 1-D cross-correlation of sequences NCL; weight `[out, in / groups, k]`. */
export class Conv1d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: Conv1dOptions,
    values?: AffineValues,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all), values);
  }

  vanillaExport(): Conv1d {
    const { inChannels, outChannels, ...options } = among({ ...CONVOLUTION_1D, ...BIAS }, this.options);
    return this.exported((values) => new Conv1d(inChannels, outChannels, options, values));
  }
}
