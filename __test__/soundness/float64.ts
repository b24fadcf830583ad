// An oracle of its own in float64: forward, Jacobian and singular values of exported networks, in plain loops.
import { Conv2d, Flatten, GroupSort, Linear, type Module, ScaledL2NormPool2d, type Sequential } from "tslip";
import { Convolution } from "../../src/nn/affine/convolution.js";

/** Channels, height and width; features count as channels of one pixel. */
export type Size = readonly [number, number, number];

/** A layer at one input: its value, and how derivatives of the logits by its output become those by its input. */
interface Applied {
  value: Float64Array;
  size: Size;
  /** `[outputs, logits]` to `[inputs, logits]`, logits innermost. */
  back(gradient: Float64Array): Float64Array;
}

type Layer = (x: Float64Array, size: Size, logits: number) => Applied;

/** Logits and the transposed Jacobian `[pixels, logits]` at one image. */
export function differentiate(
  layers: readonly Layer[],
  image: Float64Array,
  size: Size,
  logits: number,
): { values: Float64Array; jacobian: Float64Array } {
  const applied: Applied[] = [];
  let [x, at] = [image, size];
  for (const layer of layers) {
    const next = layer(x, at, logits);
    applied.push(next);
    [x, at] = [next.value, next.size];
  }
  let gradient = new Float64Array(logits * logits);
  for (let k = 0; k < logits; k++) gradient[k * logits + k] = 1;
  for (const { back } of applied.reverse()) gradient = back(gradient) as Float64Array<ArrayBuffer>;
  return { values: x, jacobian: gradient };
}

/** The layers of an exported network. Throws on a layer that the oracle does not know. */
export function float64Layers(model: Sequential): Layer[] {
  return model.layers.map(layerOf);
}

function layerOf(layer: Module): Layer {
  if (layer instanceof Conv2d) return convolution(layer);
  if (layer instanceof Linear) return linear(layer);
  if (layer instanceof GroupSort) return pairSort(layer);
  if (layer instanceof ScaledL2NormPool2d) return l2Pool(layer);
  if (layer instanceof Flatten) {
    return (value, [c, h, w]) => ({ value, size: [c * h * w, 1, 1], back: (gradient) => gradient });
  }
  throw new Error(`the oracle knows no ${layer.constructor.name}`);
}

const float64 = (values: ArrayLike<number>): Float64Array<ArrayBuffer> => Float64Array.from(values);

function linear(layer: Linear): Layer {
  const weight = float64(layer.weight.dataSync());
  const bias = layer.bias && float64(layer.bias.dataSync());
  const { inFeatures: inputs, outFeatures: outputs } = layer;
  return (x, _, logits) => {
    const value = new Float64Array(outputs);
    for (let o = 0; o < outputs; o++) {
      let sum = bias?.[o] ?? 0;
      for (let i = 0; i < inputs; i++) sum += (weight[o * inputs + i] as number) * (x[i] as number);
      value[o] = sum;
    }
    const back = (gradient: Float64Array): Float64Array => {
      const result = new Float64Array(inputs * logits);
      for (let o = 0; o < outputs; o++) {
        const row = gradient.subarray(o * logits, (o + 1) * logits);
        for (let i = 0; i < inputs; i++) {
          const w = weight[o * inputs + i] as number;
          const to = i * logits;
          for (let k = 0; k < logits; k++) (result[to + k] as number) += w * (row[k] as number);
        }
      }
      return result;
    };
    return { value, size: [outputs, 1, 1], back };
  };
}

/** For each tap of one axis the runs of output positions whose input positions follow each other: `[output, input, count]`. */
function runsOf(length: number, kernel: number, stride: number, before: number, after: number, circular: boolean) {
  const outputs = Math.floor((length + before + after - kernel) / stride) + 1;
  const runs = Array.from({ length: kernel }, (_, tap) => {
    const found: [number, number, number][] = [];
    for (let output = 0; output < outputs; output++) {
      const at = output * stride + tap - before;
      const input = circular ? (at + length) % length : at;
      if (input < 0 || input >= length) continue;
      const last = found.at(-1);
      if (last !== undefined && last[0] + last[2] === output && last[1] + last[2] === input) last[2] += 1;
      else found.push([output, input, 1]);
    }
    return found;
  });
  return { outputs, runs };
}

/** to[at + k] += factor * from[start + k]. */
function accumulate(
  to: Float64Array,
  at: number,
  from: Float64Array,
  start: number,
  count: number,
  factor: number,
): void {
  for (let k = 0; k < count; k++) to[at + k] = (to[at + k] as number) + factor * (from[start + k] as number);
}

function convolution(layer: Conv2d): Layer {
  const weight = float64(layer.weight.dataSync());
  const bias = layer.bias && float64(layer.bias.dataSync());
  if (!(layer.map instanceof Convolution)) throw new Error("a Conv2d is a convolution");
  const { kernelSize, stride, padding, dilation, groups, paddingMode } = layer.map;
  if (groups !== 1 || dilation.some((d) => d !== 1) || (paddingMode !== "zeros" && paddingMode !== "circular")) {
    throw new Error("the oracle knows convolutions without groups and dilation, padded with zeros or circularly");
  }
  const [kh, kw] = kernelSize;
  const [top, left, bottom, right] = padding;
  const circular = paddingMode === "circular";
  const { inChannels, outChannels } = layer;
  return (x, [, h, w], logits) => {
    const rows = runsOf(h, kh, stride[0], top, bottom, circular);
    const columns = runsOf(w, kw, stride[1], left, right, circular);
    const [oh, ow] = [rows.outputs, columns.outputs];
    /** For every weight and run of products: the weight, where the outputs and the inputs begin, and how many they are. */
    const products = (visit: (weight: number, output: number, input: number, count: number) => void): void => {
      weight.forEach((factor, tap) => {
        const [kx, ky] = [tap % kw, Math.floor(tap / kw) % kh];
        const i = Math.floor(tap / (kw * kh)) % inChannels;
        const o = Math.floor(tap / (kw * kh * inChannels));
        for (const [y, iy, height] of rows.runs[ky] ?? []) {
          for (let row = 0; row < height; row++) {
            const output = (o * oh + y + row) * ow;
            const input = (i * h + iy + row) * w;
            for (const [z, iz, count] of columns.runs[kx] ?? []) visit(factor, output + z, input + iz, count);
          }
        }
      });
    };
    const value = new Float64Array(outChannels * oh * ow);
    for (let o = 0; o < outChannels; o++) value.fill(bias?.[o] ?? 0, o * oh * ow, (o + 1) * oh * ow);
    products((factor, output, input, count) => accumulate(value, output, x, input, count, factor));
    const back = (gradient: Float64Array): Float64Array => {
      const result = new Float64Array(inChannels * h * w * logits);
      products((factor, output, input, count) =>
        accumulate(result, input * logits, gradient, output * logits, count * logits, factor),
      );
      return result;
    };
    return { value, size: [outChannels, oh, ow], back };
  };
}

function pairSort(layer: GroupSort): Layer {
  if (layer.groupSize !== 2) throw new Error("the oracle sorts pairs");
  const scale = layer.kCoefLip;
  return (x, size, logits) => {
    const [channels, h, w] = size;
    const pixels = h * w;
    const value = new Float64Array(x.length);
    /** Where each output comes from. */
    const from = new Int32Array(x.length);
    for (let c = 0; c < channels; c += 2) {
      for (let p = 0; p < pixels; p++) {
        const [a, b] = [c * pixels + p, (c + 1) * pixels + p];
        const swap = (x[a] as number) > (x[b] as number);
        from[a] = swap ? b : a;
        from[b] = swap ? a : b;
        value[a] = scale * Math.min(x[a] as number, x[b] as number);
        value[b] = scale * Math.max(x[a] as number, x[b] as number);
      }
    }
    const back = (gradient: Float64Array): Float64Array => {
      const result = new Float64Array(gradient.length);
      for (let i = 0; i < x.length; i++) {
        const to = (from[i] as number) * logits;
        for (let k = 0; k < logits; k++) result[to + k] = scale * (gradient[i * logits + k] as number);
      }
      return result;
    };
    return { value, size, back };
  };
}

function l2Pool(layer: ScaledL2NormPool2d): Layer {
  const [kh, kw] = layer.kernelSize;
  if (layer.stride[0] !== kh || layer.stride[1] !== kw) throw new Error("the oracle pools windows that do not overlap");
  const scale = layer.kCoefLip;
  return (x, [channels, h, w], logits) => {
    const [oh, ow] = [Math.floor(h / kh), Math.floor(w / kw)];
    const norms = new Float64Array(channels * oh * ow);
    const each = (visit: (output: number, input: number) => void): void => {
      for (let c = 0; c < channels; c++) {
        for (let y = 0; y < oh * kh; y++) {
          for (let z = 0; z < ow * kw; z++) {
            visit((c * oh + Math.floor(y / kh)) * ow + Math.floor(z / kw), (c * h + y) * w + z);
          }
        }
      }
    };
    each((output, input) => {
      (norms[output] as number) += (x[input] as number) ** 2;
    });
    for (let i = 0; i < norms.length; i++) norms[i] = Math.sqrt(norms[i] as number);
    const back = (gradient: Float64Array): Float64Array => {
      const result = new Float64Array(x.length * logits);
      each((output, input) => {
        const norm = norms[output] as number;
        if (norm === 0) return;
        const share = (scale * (x[input] as number)) / norm;
        for (let k = 0; k < logits; k++) result[input * logits + k] = share * (gradient[output * logits + k] as number);
      });
      return result;
    };
    return { value: norms.map((norm) => scale * norm), size: [channels, oh, ow], back };
  };
}

/** Largest singular value of a matrix `[rows, columns]`, by Jacobi rotations of the Gram matrix of its short side. */
export function spectralNorm(matrix: ArrayLike<number>, rows: number, columns: number): number {
  const [n, terms] = rows <= columns ? [rows, columns] : [columns, rows];
  const at = (i: number, k: number): number =>
    (rows <= columns ? matrix[i * columns + k] : matrix[k * columns + i]) ?? 0;
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < terms; k++) sum += at(i, k) * at(j, k);
      gram[i * n + j] = sum;
      gram[j * n + i] = sum;
    }
  }
  return Math.sqrt(largestEigenvalue(gram, n));
}

/** Cyclic Jacobi (Golub and Van Loan, 8.5) on a symmetric positive semidefinite matrix, which it overwrites. */
function largestEigenvalue(a: Float64Array, n: number): number {
  const get = (i: number, j: number): number => a[i * n + j] as number;
  const trace = (): number => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += get(i, i);
    return sum;
  };
  const NEGLIGIBLE = 1e-16;
  for (let sweep = 0; sweep < 60; sweep++) {
    let rotated = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const off = get(p, q);
        if (Math.abs(off) <= NEGLIGIBLE * trace()) continue;
        rotated = true;
        const theta = (get(q, q) - get(p, p)) / (2 * off);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        for (let k = 0; k < n; k++) {
          const [x, y] = [get(k, p), get(k, q)];
          a[k * n + p] = c * x - s * y;
          a[k * n + q] = s * x + c * y;
        }
        for (let k = 0; k < n; k++) {
          const [x, y] = [get(p, k), get(q, k)];
          a[p * n + k] = c * x - s * y;
          a[q * n + k] = s * x + c * y;
        }
      }
    }
    if (!rotated) {
      let largest = 0;
      for (let i = 0; i < n; i++) largest = Math.max(largest, get(i, i));
      return largest;
    }
  }
  throw new Error("Jacobi rotations did not end");
}

/** Largest singular value of a layer without its bias as an operator on images of one size, by power iteration from below. */
export function operatorNorm(layer: Linear | Conv2d, size: Size, iterations: number): number {
  const apply = layerOf(layer);
  const inputs = size[0] * size[1] * size[2];
  const zero = apply(new Float64Array(inputs), size, 1).value;
  let v = Float64Array.from({ length: inputs }, (_, i) => Math.sin(1 + i * i));
  let norm = 0;
  for (let i = 0; i < iterations; i++) {
    const length = Math.hypot(...v);
    v = v.map((x) => x / length);
    const { value, back } = apply(v, size, 1);
    const image = value.map((y, k) => y - (zero[k] as number));
    norm = Math.hypot(...image);
    v = back(image) as Float64Array<ArrayBuffer>;
  }
  return norm;
}
