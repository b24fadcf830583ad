// What a network computes in exact arithmetic: its recorded ops one by one, by their definitions, in double-double.
import { compile, type DType, type GraphNode, type Module, type Tensor, zeros } from "tslip";
import { Double, Doubles } from "./double.js";

type Shape = readonly number[];

/** Computes a value from those of its operands. */
type Kernel = (...inputs: readonly Doubles[]) => Doubles;

/** Computes the logits of one sample from its values. */
export type ExactNetwork = (sample: ArrayLike<number>) => Doubles;

/** The largest byte, by which bytes are divided. */
const LARGEST_BYTE = 255;

/** The network of a model in evaluation mode, for samples of a shape. Throws on an op that has no definition here. */
export function exactNetwork(model: Module, sample: Shape, dtype: DType = "f32"): ExactNetwork {
  const forward = compile((x: Tensor) => model.forward(x.dtype === "u8" ? x.cast("f32").div(LARGEST_BYTE) : x));
  forward.sync(zeros([1, ...sample], { dtype }));
  const { nodes, outputs } = forward.graph();
  const known: (Doubles | undefined)[] = [];
  const steps: { readonly node: number; readonly inputs: readonly number[]; readonly kernel: Kernel }[] = [];
  for (const [node, { op, inputs, constant, state }] of nodes.entries()) {
    const values = constant ?? state;
    if (values !== undefined) known[node] = Doubles.of(values.dataSync());
    else if (op !== "input") {
      const kernel = kernelOf(nodes, node, known);
      const operands = inputs.map((one) => known[one]);
      // What depends on weights alone is computed once.
      if (operands.every((one) => one !== undefined)) known[node] = kernel(...operands);
      else steps.push({ node, inputs, kernel });
    }
  }
  const input = nodes.findIndex(({ op }) => op === "input");
  return (values) => {
    const all = known.slice();
    all[input] = Doubles.of(values);
    for (const { node, inputs, kernel } of steps) all[node] = kernel(...inputs.map((one) => all[one] as Doubles));
    return all[outputs[0] ?? 0] as Doubles;
  };
}

function kernelOf(nodes: readonly GraphNode[], at: number, known: readonly (Doubles | undefined)[]): Kernel {
  const { op, inputs, shape, attributes } = nodes[at] as GraphNode;
  const shapes = inputs.map((one) => nodes[one]?.shape ?? []);
  const one = UNARY[op];
  if (one !== undefined) return (x) => mapped(x as Doubles, one);
  const two = BINARY[op];
  if (two !== undefined) return binary(two, shapes, shape);
  const make = KERNELS[op];
  if (make === undefined) throw new Error(`the exact network knows no op "${op}"; define it in trials/exact.ts`);
  return make({ shape, shapes, attributes: attributes as unknown as Attributes, known: inputs.map((x) => known[x]) });
}

/** Changes a number. */
type Unary = (x: Double) => Double;

const UNARY: Readonly<Record<string, Unary>> = {
  reshape: (x) => x,
  cast: (x) => x,
  stop_gradient: (x) => x,
  neg: (x) => x.set(-x.hi, -x.lo),
  abs: (x) => (x.hi < 0 ? x.set(-x.hi, -x.lo) : x),
  relu: (x) => (x.hi < 0 ? x.set(0) : x),
  square: (x) => x.multiply(x.hi, x.lo),
  sqrt: (x) => x.root(),
  exp: (x) => x.exp(),
  sigmoid: (x) => x.sigmoid(),
  tanh: (x) => x.tanh(),
  floor: (x) => x.floor(),
};

/** Changes a number by another one. */
type Binary = (x: Double, hi: number, lo: number) => Double;

const BINARY: Readonly<Record<string, Binary>> = {
  add: (x, hi, lo) => x.add(hi, lo),
  sub: (x, hi, lo) => x.add(-hi, -lo),
  mul: (x, hi, lo) => x.multiply(hi, lo),
  div: (x, hi, lo) => x.divide(hi, lo),
  maximum: (x, hi, lo) => (x.less(hi, lo) ? x.set(hi, lo) : x),
  minimum: (x, hi, lo) => (x.less(hi, lo) ? x : x.set(hi, lo)),
  less: (x, hi, lo) => x.set(x.less(hi, lo) ? 1 : 0),
  less_equal: (x, hi, lo) => x.set(x.less(hi, lo) || (x.hi === hi && x.lo === lo) ? 1 : 0),
  equal: (x, hi, lo) => x.set(x.hi === hi && x.lo === lo ? 1 : 0),
  and: (x, hi) => x.set(x.hi * hi),
  or: (x, hi) => x.set(Math.max(x.hi, hi)),
};

/** Attributes of the ops below, each of which has some of them. */
interface Attributes {
  readonly axes: Shape;
  readonly axis: number;
  readonly keepdims: boolean;
  readonly starts: Shape;
  readonly steps: Shape;
  readonly before: Shape;
  readonly after: Shape;
  readonly mode: "constant" | "reflect" | "replicate" | "circular" | "symmetric";
  readonly value: number;
  readonly groupSize: number;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly padding: readonly [number, number, number, number];
  readonly groups: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** What is known of an op before it is computed. */
interface Node {
  readonly shape: Shape;
  /** Of the operands. */
  readonly shapes: readonly Shape[];
  readonly attributes: Attributes;
  /** Operands that no sample has a part in. */
  readonly known: readonly (Doubles | undefined)[];
}

const KERNELS: Readonly<Record<string, (node: Node) => Kernel>> = {
  full:
    ({ shape, attributes: { value } }) =>
    () =>
      Doubles.of(new Float64Array(sizeOf(shape)).fill(value)),
  permute: ({ shape, shapes: [from = []], attributes: { axes } }) =>
    moving(shape, (at) => placeOf(from, permutedBack(at, axes))),
  broadcast_to: ({ shape, shapes: [from = []] }) => moving(shape, (at) => broadcastPlace(from, at)),
  slice: ({ shape, shapes: [from = []], attributes: { starts, steps } }) =>
    moving(shape, (at) =>
      placeOf(
        from,
        at.map((i, axis) => (starts[axis] ?? 0) + i * (steps[axis] ?? 1)),
      ),
    ),
  pad: ({ shape, shapes: [from = []], attributes: { before, mode, value } }) =>
    moving(
      shape,
      (at) => {
        const source = at.map((i, axis) => padded(i - (before[axis] ?? 0), from[axis] ?? 0, mode));
        return source.includes(NOWHERE) ? NOWHERE : placeOf(from, source);
      },
      value,
    ),
  gather: ({ shape, shapes: [from = [], picked = []], attributes: { axis }, known: [, indices] }) => {
    if (indices === undefined) throw new Error("the exact network gathers by constants");
    return moving(shape, (at) => {
      const chosen = indices.hi[placeOf(picked, at.slice(axis, axis + picked.length))] ?? NOWHERE;
      if (chosen < 0 || chosen >= (from[axis] ?? 0)) return NOWHERE;
      return placeOf(from, [...at.slice(0, axis), chosen, ...at.slice(axis + picked.length)]);
    });
  },
  concat:
    ({ shape, shapes, attributes: { axis } }) =>
    (...inputs) => {
      const y = new Doubles(sizeOf(shape));
      const inner = sizeOf(shape.slice(axis + 1));
      const row = inner * (shape[axis] ?? 0);
      let start = 0;
      inputs.forEach((x, i) => {
        const part = inner * (shapes[i]?.[axis] ?? 0);
        for (let k = 0; k < x.length; k++) {
          const to = Math.floor(k / part) * row + start + (k % part);
          y.hi[to] = x.hi[k] as number;
          y.lo[to] = x.lo[k] as number;
        }
        start += part;
      });
      return y;
    },
  where: ({ shape, shapes: [when = [], first = [], second = []] }) => {
    const [condition, a, b] = [when, first, second].map((from) => placesOf(shape, (at) => broadcastPlace(from, at)));
    return (...[c, x, z]) => {
      const y = new Doubles(sizeOf(shape));
      for (let k = 0; k < y.length; k++) {
        const [from, at] = c?.hi[condition?.[k] ?? 0] === 0 ? [z, b?.[k] ?? 0] : [x, a?.[k] ?? 0];
        y.hi[k] = from?.hi[at] as number;
        y.lo[k] = from?.lo[at] as number;
      }
      return y;
    };
  },
  sum: (node) => reducing(node, 0, (sum, hi, lo) => sum.add(hi, lo)),
  max: (node) =>
    reducing(node, Number.NEGATIVE_INFINITY, (most, hi, lo) => (most.less(hi, lo) ? most.set(hi, lo) : most)),
  matmul: ({ shape, shapes: [a = [], b = []], attributes: { transposeA, transposeB } }) => {
    const depth = a.at(transposeA ? -2 : -1) ?? 0;
    return products(shape, (visit) => {
      each(shape, (at, to) => {
        const [lead, i, j] = [at.slice(0, -2), at.at(-2) ?? 0, at.at(-1) ?? 0];
        for (let k = 0; k < depth; k++) {
          const [left, right] = [transposeA ? [k, i] : [i, k], transposeB ? [j, k] : [k, j]];
          visit(to, broadcastPlace(a, [...lead, ...left]), broadcastPlace(b, [...lead, ...right]));
        }
      });
    });
  },
  conv2d: ({ shape, shapes: [x = [], w = []], attributes }) =>
    products(shape, (visit) => taps(x, shape, w, attributes, (pixel, window, weight) => visit(window, pixel, weight))),
  conv2d_input_grad: ({ shape, shapes: [y = [], w = []], attributes }) =>
    products(shape, (visit) => taps(shape, y, w, attributes, (pixel, window, weight) => visit(pixel, window, weight))),
  group_sort: ({ shape, attributes: { axis, groupSize } }) => {
    const [inner, extent] = [sizeOf(shape.slice(axis + 1)), shape[axis] ?? 1];
    return (x) => {
      const y = new Doubles(sizeOf(shape));
      if (x === undefined) return y;
      each(shape, (at, k) => {
        if ((at[axis] ?? 0) % groupSize !== 0) return;
        const count = Math.min(groupSize, extent - (at[axis] ?? 0));
        const members = Array.from({ length: count }, (_, i) => k + i * inner);
        const order = members.toSorted((p, q) => compared(x, p, q));
        members.forEach((to, i) => copy(x, order[i] ?? 0, y, to));
      });
      return y;
    };
  },
  window_sum2d: (node) => windowed(node, (sum, hi, lo) => sum.add(hi, lo)),
  l2_norm_pool2d: (node) => {
    const squares = windowed(node, (sum, hi, lo) => sum.addProduct(hi, lo, hi, lo));
    return (x) => mapped(squares(x as Doubles), (sum) => sum.root());
  },
  window_argmax2d: ({ shape, shapes: [from = []], attributes }) => {
    const windows = windowsOf(from, shape, attributes);
    return (x) => {
      const y = new Doubles(sizeOf(shape));
      windows.forEach((pixels, to) => {
        let best = 0;
        pixels.forEach((pixel, tap) => {
          if (x !== undefined && compared(x, pixels[best] ?? 0, pixel) < 0) best = tap;
        });
        y.hi[to] = best;
      });
      return y;
    };
  },
  window_take2d: ({ shape, shapes: [from = []], attributes }) => {
    const windows = windowsOf(from, shape, attributes);
    return (x, places) => {
      const y = new Doubles(sizeOf(shape));
      windows.forEach((pixels, to) => copy(x as Doubles, pixels[places?.hi[to] ?? 0] ?? 0, y, to));
      return y;
    };
  },
};

/** No place: what padding consists of. */
const NOWHERE = -1;

const sizeOf = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);

/** Calls `visit` with each position of a shape and its place, row-major. */
function each(shape: Shape, visit: (at: readonly number[], place: number) => void): void {
  const at = shape.map(() => 0);
  for (let place = 0; place < sizeOf(shape); place++) {
    visit(at, place);
    for (let axis = at.length - 1; axis >= 0; axis--) {
      at[axis] = (at[axis] as number) + 1;
      if ((at[axis] as number) < (shape[axis] as number)) break;
      at[axis] = 0;
    }
  }
}

const placeOf = (shape: Shape, at: readonly number[]): number =>
  shape.reduce((place, extent, axis) => place * extent + (at[axis] ?? 0), 0);

/** The place of a value of `shape` that stands at a position of a shape that it is broadcast to. */
function broadcastPlace(shape: Shape, at: readonly number[]): number {
  const skipped = at.length - shape.length;
  return shape.reduce((place, extent, axis) => place * extent + (extent === 1 ? 0 : (at[axis + skipped] ?? 0)), 0);
}

function placesOf(shape: Shape, place: (at: readonly number[]) => number): Int32Array {
  const places = new Int32Array(sizeOf(shape));
  each(shape, (at, k) => {
    places[k] = place(at);
  });
  return places;
}

const permutedBack = (at: readonly number[], axes: Shape): number[] => at.map((_, axis) => at[axes.indexOf(axis)] ?? 0);

/** Where the element at i, which may lie outside of an axis, comes from. */
function padded(i: number, extent: number, mode: Attributes["mode"]): number {
  if (i >= 0 && i < extent) return i;
  if (mode === "constant") return NOWHERE;
  if (mode === "replicate") return i < 0 ? 0 : extent - 1;
  if (mode === "circular") return (i + extent) % extent;
  const edge = mode === "symmetric" ? 1 : 0;
  return i < 0 ? -i - edge : 2 * (extent - 1) - i + edge;
}

function copy(x: Doubles, from: number, y: Doubles, to: number): void {
  y.hi[to] = x.hi[from] as number;
  y.lo[to] = x.lo[from] as number;
}

const compared = (x: Doubles, p: number, q: number): number =>
  (x.hi[p] as number) - (x.hi[q] as number) || (x.lo[p] as number) - (x.lo[q] as number);

function mapped(x: Doubles, change: Unary): Doubles {
  const [y, one] = [new Doubles(x.length), new Double()];
  for (let k = 0; k < x.length; k++) y.put(k, change(one.set(x.hi[k] as number, x.lo[k] as number)));
  return y;
}

function binary(change: Binary, [left = [], right = []]: readonly Shape[], shape: Shape): Kernel {
  const [a, b] = [left, right].map((from) => placesOf(shape, (at) => broadcastPlace(from, at)));
  return (x, z) => {
    const [y, one] = [new Doubles(sizeOf(shape)), new Double()];
    for (let k = 0; k < y.length; k++) {
      const [from, by] = [a?.[k] ?? 0, b?.[k] ?? 0];
      one.set(x?.hi[from] as number, x?.lo[from] as number);
      y.put(k, change(one, z?.hi[by] as number, z?.lo[by] as number));
    }
    return y;
  };
}

/** Values that come from elsewhere, or are `otherwise`. */
function moving(shape: Shape, source: (at: readonly number[]) => number, otherwise = 0): Kernel {
  const places = placesOf(shape, source);
  return (x) => {
    const y = new Doubles(places.length);
    for (let k = 0; k < y.length; k++) {
      const from = places[k] as number;
      if (from === NOWHERE) y.hi[k] = otherwise;
      else copy(x as Doubles, from, y, k);
    }
    return y;
  };
}

function reducing({ shape, shapes: [from = []], attributes: { axes } }: Node, start: number, take: Binary): Kernel {
  const kept = from.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const places = placesOf(from, (at) => broadcastPlace(kept, at));
  return gathering(sizeOf(shape), start, places, take);
}

/** Each value is taken by the result of its place. */
function gathering(results: number, start: number, places: Int32Array, take: Binary): Kernel {
  return (x) => {
    const all = Array.from({ length: results }, () => new Double().set(start));
    places.forEach((to, k) => take(all[to] as Double, x?.hi[k] as number, x?.lo[k] as number));
    const y = new Doubles(results);
    all.forEach((one, k) => y.put(k, one));
    return y;
  };
}

/** Sums of products of two operands. */
function products(shape: Shape, visitAll: (visit: (to: number, a: number, b: number) => void) => void): Kernel {
  const terms: number[][] = Array.from({ length: sizeOf(shape) }, () => []);
  visitAll((to, a, b) => terms[to]?.push(a, b));
  return (x, z) => {
    const [y, sum] = [new Doubles(terms.length), new Double()];
    if (x === undefined || z === undefined) return y;
    terms.forEach((pairs, to) => {
      sum.set(0);
      for (let k = 0; k < pairs.length; k += 2) {
        const [a, b] = [pairs[k] as number, pairs[k + 1] as number];
        sum.addProduct(x.hi[a] as number, x.lo[a] as number, z.hi[b] as number, z.lo[b] as number);
      }
      y.put(to, sum);
    });
    return y;
  };
}

/** Calls `visit` with the places of each pixel of a convolution that a window meets, of the window, and of the weight. */
function taps(
  image: Shape,
  windows: Shape,
  weight: Shape,
  { stride, dilation, padding, groups }: Attributes,
  visit: (pixel: number, window: number, weight: number) => void,
): void {
  const [out = 1, perGroup = 1] = weight;
  each(windows, ([n = 0, o = 0, row = 0, column = 0], window) => {
    const group = Math.floor(o / (out / groups));
    each([perGroup, ...weight.slice(2)], ([c = 0, ky = 0, kx = 0]) => {
      const y = row * stride[0] + ky * dilation[0] - padding[0];
      const x = column * stride[1] + kx * dilation[1] - padding[1];
      if (y < 0 || x < 0 || y >= (image[2] ?? 0) || x >= (image[3] ?? 0)) return;
      visit(placeOf(image, [n, group * perGroup + c, y, x]), window, placeOf(weight, [o, c, ky, kx]));
    });
  });
}

/** Of each window of pooling the places of its pixels, row by row. */
function windowsOf(image: Shape, shape: Shape, { kernel, stride }: Attributes): number[][] {
  const windows: number[][] = [];
  each(shape, ([n = 0, c = 0, row = 0, column = 0]) => {
    const pixels: number[] = [];
    each(kernel, ([ky = 0, kx = 0]) => {
      pixels.push(placeOf(image, [n, c, row * stride[0] + ky, column * stride[1] + kx]));
    });
    windows.push(pixels);
  });
  return windows;
}

function windowed({ shape, shapes: [from = []], attributes }: Node, take: Binary): Kernel {
  const windows = windowsOf(from, shape, attributes);
  return (x) => {
    const [y, sum] = [new Doubles(windows.length), new Double()];
    windows.forEach((pixels, to) => {
      sum.set(0);
      for (const pixel of pixels) take(sum, x?.hi[pixel] as number, x?.lo[pixel] as number);
      y.put(to, sum);
    });
    return y;
  };
}
