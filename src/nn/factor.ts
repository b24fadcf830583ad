// The factor by which a convolution with an orthogonal kernel matrix is scaled.
import { convolutionFactor as factorOf } from "../native.js";
import { knownOptions, type Names } from "../options.js";

/** Geometry of a convolution of one or two axes; each list has one number an axis. */
export interface ConvolutionFactorOptions {
  kernelSize: readonly number[];
  stride?: readonly number[];
  dilation?: readonly number[];
  /** Befores, then afters: `[top, left, bottom, right]` or `[left, right]`. */
  padding?: readonly number[];
  paddingMode?: "zeros" | "circular" | "reflect" | "replicate" | "symmetric";
  /** Size of the image; without it the worst over all sizes counts. */
  inputSize?: readonly number[];
  /** "overlap" leaves torchlip's coefficient out, which is smaller where windows overlap little at the border. */
  norm?: "default" | "overlap";
}

const OPTIONS: Names<ConvolutionFactorOptions> = {
  kernelSize: true,
  stride: true,
  dilation: true,
  padding: true,
  paddingMode: true,
  inputSize: true,
  norm: true,
};

/**
 * The scalar that makes a convolution 1-Lipschitz once its kernel as a matrix `[out, in * taps]` has norm 1: the smaller
 * of torchlip 1.0.5's coefficient and overlap^(-1/2), overlap being the most taps that read one pixel; with `norm: "overlap"` the
 * latter.
 */
export function convolutionFactor(options: ConvolutionFactorOptions): number {
  return factorOf({ ...knownOptions("convolutionFactor", OPTIONS, options) });
}
