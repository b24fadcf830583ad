// Pooling against plain loops in float64, and its constants against matrices written out.
import {
  AvgPool2d,
  compile,
  grad,
  MaxPool2d,
  type Module,
  randn,
  ScaledAdaptativeL2NormPool2d,
  ScaledAdaptiveAvgPool2d,
  ScaledAdaptiveL2NormPool2d,
  ScaledAvgPool2d,
  ScaledL2NormPool2d,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { stretches } from "../../src/nn/adaptive.js";
import { Windows } from "../../src/nn/windows.js";
import { spectralNorm } from "../soundness/float64.js";

/** Some tens of float32 roundings. */
const ROUNDING = 2e-6;

/** Where a window begins and ends along an axis, before it is cut to the image, and from which pixel to which it goes. */
type Span = readonly [start: number, stop: number, step?: number];

interface Geometry {
  kernel: number;
  stride: number;
  padding: number;
  ceil: boolean;
  dilation?: number;
}

/** PyTorch's rule (aten/native/Pool.h): as many windows as fit, with ceil mode one more where it begins in the image or its left padding. */
function spans(extent: number, { kernel, stride, padding, ceil, dilation = 1 }: Geometry): Span[] {
  const all: Span[] = [];
  const reach = (kernel - 1) * dilation + 1;
  for (let start = -padding; ; start += stride) {
    const whole = start + reach <= extent + padding;
    // The first that does not fit counts with ceil mode, where the one before it did not end at the border.
    const reaches = ceil && start < extent && start + reach - stride < extent + padding;
    if (!whole && !reaches) return all;
    all.push([start, start + reach, dilation]);
  }
}

/** The pixels of the image in a window. */
function inside([start, stop, step = 1]: Span, extent: number): number[] {
  const pixels = Array.from({ length: Math.ceil((stop - start) / step) }, (_, i) => start + i * step);
  return pixels.filter((at) => at >= 0 && at < extent);
}

/** Calls `pool` with the pixels of each window of each image, and where the window is. */
function pooled(
  x: Tensor,
  [rows, columns]: readonly [readonly Span[], readonly Span[]],
  pool: (pixels: number[], row: Span, column: Span) => number,
): number[] {
  const [samples = 0, channels = 0, height = 0, width = 0] = x.shape;
  const values = x.dataSync();
  const all: number[] = [];
  for (let image = 0; image < samples * channels; image++) {
    for (const row of rows) {
      for (const column of columns) {
        const pixels = inside(row, height).flatMap((i) =>
          inside(column, width).map((j) => values[(image * height + i) * width + j] ?? Number.NaN),
        );
        all.push(pool(pixels, row, column));
      }
    }
  }
  return all;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const norm = (values: readonly number[]): number => Math.sqrt(sum(values.map((v) => v * v)));
/** NaN where there is one, as Math.max. */
const largest = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);

/** All that is told apart of geometry along one axis. */
const geometries: Geometry[] = [];
for (let kernel = 1; kernel <= 5; kernel++) {
  for (let stride = 1; stride <= 5; stride++) {
    for (let padding = 0; 2 * padding <= kernel; padding++) {
      for (const ceil of [false, true]) geometries.push({ kernel, stride, padding, ceil });
    }
  }
}
/** With pixels of a window next to one another, and apart. */
const dilated = [1, 2, 3, 4].flatMap((dilation) => geometries.map((geometry) => ({ ...geometry, dilation })));
const EXTENTS = Array.from({ length: 12 }, (_, i) => i + 1);

const windowsOf = ({ kernel, stride, padding, ceil, dilation = 1 }: Geometry): Windows =>
  new Windows({
    kernelSize: [kernel, 1],
    stride: [stride, 1],
    padding: [padding, 0],
    ceilMode: ceil,
    dilation: [dilation, 1],
  });

/** How many windows read each pixel. */
const readings = (all: readonly Span[], extent: number): number[] =>
  Array.from({ length: extent }, (_, at) => all.filter((span) => inside(span, extent).includes(at)).length);

/** The norm of a matrix with a row for each window: `weight` at the pixels it reads. */
function normOf(all: readonly Span[], extent: number, weight: (span: Span) => number): number {
  const matrix = all.flatMap((span) => {
    const pixels = new Set(inside(span, extent));
    return Array.from({ length: extent }, (_, at) => (pixels.has(at) ? weight(span) : 0));
  });
  return spectralNorm(matrix, all.length, extent);
}

describe("windows along an axis", () => {
  it("are those of PyTorch, for all kernels, strides, paddings, dilations and modes", () => {
    for (const geometry of dilated) {
      for (const extent of EXTENTS) {
        const all = spans(extent, geometry);
        const x = randn([1, 1, extent, 1]);
        const shown = `${JSON.stringify(geometry)} of ${extent}`;
        if (all.length === 0) expect(() => windowsOf(geometry).over(x), shown).toThrow(/does not fit/);
        else expect(windowsOf(geometry).over(x)[0].count, shown).toBe(all.length);
      }
    }
  });

  it("overlap as counted, which some image reaches", () => {
    for (const geometry of dilated) {
      const most = Math.max(...[...EXTENTS, 45].map((n) => Math.max(0, ...readings(spans(n, geometry), n))));
      expect(windowsOf(geometry).overlap, JSON.stringify(geometry)).toBe(most);
    }
  });

  it("have sums of the norm that is counted, which large images come near to", () => {
    const apart = dilated.filter((one) => [2, 3].includes(one.dilation) && one.padding === 0 && !one.ceil);
    for (const geometry of [...geometries.map((one) => ({ ...one, dilation: 1 })), ...apart]) {
      const { squaredNorm } = windowsOf(geometry);
      for (const extent of EXTENTS) {
        const all = spans(extent, geometry);
        expect(normOf(all, extent, () => 1)).toBeLessThanOrEqual(Math.sqrt(squaredNorm) * (1 + 1e-12));
      }
      const many = normOf(spans(60 * geometry.dilation, geometry), 60 * geometry.dilation, () => 1);
      expect(many, JSON.stringify(geometry)).toBeGreaterThan(0.97 * Math.sqrt(squaredNorm));
    }
  });

  it("read no fewer pixels than is said, with padding and without", () => {
    for (const geometry of geometries) {
      for (const padded of [false, true]) {
        const border = padded ? geometry.padding : 0;
        let fewest = Number.POSITIVE_INFINITY;
        for (const extent of EXTENTS) {
          const all = spans(extent, geometry);
          const counts = all.map(([start, stop]) => Math.min(stop, extent + border) - Math.max(start, -border));
          if (all.length === 0) continue;
          expect(windowsOf(geometry).counts(0, extent, padded)).toEqual(counts);
          fewest = Math.min(fewest, ...counts);
        }
        expect(windowsOf(geometry).fewest(0, padded), JSON.stringify(geometry)).toBeLessThanOrEqual(fewest);
      }
    }
  });

  it("are refused where their padding is more than half of them", () => {
    expect(() => new MaxPool2d({ kernelSize: [4, 3], padding: [2, 2] })).toThrow(
      /padding \[2, 2\] must be at most half/,
    );
    expect(() => new AvgPool2d({ kernelSize: 1, padding: 1 })).toThrow(/at most half/);
  });
});

/** Options of both axes, with images they are tried on: windows amid the image, cut off on one side and on both, images one pixel wide. */
const TRIED: [rows: Geometry, columns: Geometry, size: readonly [number, number]][] = [
  [{ kernel: 2, stride: 2, padding: 0, ceil: false }, { kernel: 2, stride: 2, padding: 0, ceil: false }, [6, 7]],
  [{ kernel: 2, stride: 2, padding: 0, ceil: true }, { kernel: 3, stride: 3, padding: 0, ceil: true }, [5, 7]],
  [{ kernel: 3, stride: 2, padding: 1, ceil: false }, { kernel: 2, stride: 1, padding: 1, ceil: false }, [5, 6]],
  [{ kernel: 3, stride: 2, padding: 1, ceil: true }, { kernel: 4, stride: 3, padding: 2, ceil: true }, [6, 7]],
  [{ kernel: 5, stride: 1, padding: 2, ceil: true }, { kernel: 3, stride: 4, padding: 0, ceil: true }, [1, 6]],
  [{ kernel: 3, stride: 1, padding: 1, ceil: false }, { kernel: 1, stride: 3, padding: 0, ceil: false }, [2, 1]],
  [{ kernel: 4, stride: 2, padding: 2, ceil: true }, { kernel: 2, stride: 5, padding: 1, ceil: true }, [3, 2]],
];

const optionsOf = (rows: Geometry, columns: Geometry) => ({
  kernelSize: [rows.kernel, columns.kernel] as const,
  stride: [rows.stride, columns.stride] as const,
  padding: [rows.padding, columns.padding] as const,
  ceilMode: rows.ceil,
});

/** Images of random numbers, of ties, of zeros alone, and of very large and very small numbers. */
function images([height, width]: readonly [number, number]): Tensor[] {
  const shape = [2, 3, height, width];
  const normal = randn(shape, { seed: 5 });
  const ties = tensor(
    Float32Array.from(normal.dataSync(), (v) => Math.round(v) + 0),
    shape,
  );
  const zeros = tensor(new Float32Array(normal.size), shape);
  return [normal, ties, zeros, normal.mul(1e15), normal.mul(1e-15)];
}

function expectNear(got: ArrayLike<number>, want: readonly number[], scale = 1): void {
  expect(got.length).toBe(want.length);
  const most = Math.max(...want.map((v) => Math.abs(v)));
  Array.from(got).forEach((value, i) => {
    expect(Math.abs(value - (want[i] ?? Number.NaN) * scale)).toBeLessThanOrEqual(ROUNDING * most * scale);
  });
}

describe.each(TRIED)("rows %o, columns %o, images of %o", (rows, columns, size) => {
  const options = optionsOf(rows, columns);
  const windows = [spans(size[0], rows), spans(size[1], columns)] as const;
  const overlap = Math.ceil(rows.kernel / rows.stride) * Math.ceil(columns.kernel / columns.stride);

  it("MaxPool2d gives the largest pixel", () => {
    for (const x of images(size)) {
      expect([...new MaxPool2d(options).forward(x).dataSync()]).toEqual(pooled(x, windows, largest));
    }
  });

  it("MaxPool2d gives NaN and -Infinity where they are", () => {
    const values = randn([1, 2, ...size], { seed: 3 })
      .dataSync()
      .slice();
    values.fill(Number.NEGATIVE_INFINITY, 0, Math.ceil(values.length / 2));
    values[values.length - 1] = Number.NaN;
    const x = tensor(values, [1, 2, ...size]);
    expect([...new MaxPool2d(options).forward(x).dataSync()]).toEqual(pooled(x, windows, largest));
  });

  it("ScaledL2NormPool2d gives the norm of what is in the image", () => {
    for (const x of images(size)) {
      for (const kCoefLip of [1, 0.25]) {
        const y = new ScaledL2NormPool2d({ ...options, kCoefLip }).forward(x).dataSync();
        expectNear(y, pooled(x, windows, norm), kCoefLip / Math.sqrt(overlap));
      }
    }
  });

  it("ScaledAvgPool2d gives the sum of what is in the image, with one scale", () => {
    const all = new Windows({ ...options, ceilMode: rows.ceil });
    for (const x of images(size)) {
      const y = new ScaledAvgPool2d({ ...options, kCoefLip: 3 }).forward(x).dataSync();
      const magnitudes = pooled(x, windows, (pixels) => sum(pixels.map(Math.abs)));
      const most = Math.max(...magnitudes);
      pooled(x, windows, sum).forEach((want, i) => {
        const scale = 3 / Math.sqrt(all.squaredNorm);
        expect(Math.abs((y[i] ?? Number.NaN) - want * scale)).toBeLessThanOrEqual(ROUNDING * most * scale);
      });
    }
  });

  it.each([
    [true, undefined],
    [false, undefined],
    [true, 7],
  ])("AvgPool2d divides by the pixels that count: with padding %s, override %s", (countIncludePad, divisorOverride) => {
    for (const x of images(size)) {
      const y = new AvgPool2d({ ...options, countIncludePad, divisorOverride }).forward(x).dataSync();
      const along = ([start, stop]: Span, extent: number, padding: number): number => {
        const border = countIncludePad ? padding : 0;
        return Math.min(stop, extent + border) - Math.max(start, -border);
      };
      const average = (total: (pixels: readonly number[]) => number) =>
        pooled(x, windows, (pixels, row, column) => {
          const counted = along(row, size[0], rows.padding) * along(column, size[1], columns.padding);
          return total(pixels) / (divisorOverride ?? counted);
        });
      const most = Math.max(...average((pixels) => sum(pixels.map(Math.abs))));
      average(sum).forEach((want, i) => {
        expect(Math.abs((y[i] ?? Number.NaN) - want)).toBeLessThanOrEqual(ROUNDING * most);
      });
    }
  });

  it("has bounds that no Jacobian exceeds", async () => {
    const layers = [
      new MaxPool2d(options),
      new ScaledL2NormPool2d({ ...options, kCoefLip: 2 }),
      new ScaledAvgPool2d(options),
      new AvgPool2d(options),
      new AvgPool2d({ ...options, countIncludePad: false }),
      new AvgPool2d({ ...options, divisorOverride: 2 }),
    ];
    for (const layer of layers) {
      for (const x of images(size).slice(0, 3)) {
        const one = tensor(x.dataSync().slice(0, size[0] * size[1]), [1, 1, ...size]);
        expect(slopeAt(layer, one)).toBeLessThanOrEqual((await layer.lipschitzBound()) * (1 + ROUNDING));
      }
    }
  });
});

describe("MaxPool2d with a dilation", () => {
  const pool = ({ kernel, stride, padding, ceil, dilation = 1 }: Geometry): MaxPool2d =>
    new MaxPool2d({ kernelSize: kernel, stride, padding, ceilMode: ceil, dilation });

  it("gives the largest pixel that a window reads, NaN and -Infinity where they are, for all small geometries", () => {
    const shape = [1, 1, 6, 9];
    const values = randn(shape, { seed: 3 }).dataSync().slice();
    values.fill(Number.NEGATIVE_INFINITY, 0, 12);
    values[values.length - 1] = Number.NaN;
    for (const x of [randn(shape, { seed: 5 }), tensor(values, shape)]) {
      for (const geometry of dilated) {
        const windows = [spans(6, geometry), spans(9, geometry)] as const;
        if (windows.some((all) => all.length === 0)) continue;
        const y = pool(geometry).forward(x);
        expect([...y.dataSync()], JSON.stringify(geometry)).toEqual(pooled(x, windows, largest));
      }
    }
  });

  it("has a bound that no Jacobian exceeds, which a pixel that is the largest of all its windows reaches", () => {
    const x = tensor(
      Float32Array.from({ length: 15 * 15 }, (_, i) => (i === 7 * 15 + 7 ? 1 : 0)),
      [1, 1, 15, 15],
    );
    for (const [kernel, stride, dilation, bound] of [
      [3, 1, 2, 3],
      [3, 2, 2, 3],
      [2, 3, 3, 2],
      [3, 2, 1, 2],
      [3, 2, 3, 2],
      [2, 2, 3, 1],
    ] as const) {
      // Shifted so that a window begins at the pixel.
      const layer = pool({ kernel, stride, padding: 0, ceil: false, dilation });
      const shifted = x.slice([0, 0, 7 % stride, 7 % stride], x.shape);
      expect(layer.lipschitzBound()).toBe(bound);
      expect(layer.lipschitzByConstruction).toBe(bound === 1);
      expect(slopeAt(layer, shifted)).toBeCloseTo(bound, 6);
      const random = randn(shifted.shape, { seed: 4 });
      expect(slopeAt(layer, random)).toBeLessThanOrEqual(bound * (1 + ROUNDING));
    }
  });

  it("sends the gradient of a tie to the first of the largest, row by row", () => {
    const x = tensor([
      [
        [
          [0, 9, 7],
          [9, 9, 9],
          [7, 9, 7],
        ],
      ],
    ]);
    const gradient = (options: ConstructorParameters<typeof MaxPool2d>[0]) => [
      ...grad(new MaxPool2d(options).forward(x).sum(), [x])[0].dataSync(),
    ];
    expect(gradient({ kernelSize: 2, dilation: 2 })).toEqual([0, 0, 1, 0, 0, 0, 0, 0, 0]);
    // Its one window reads the middle and padding.
    expect(gradient({ kernelSize: 2, dilation: 2, padding: 1, stride: 9 })).toEqual([0, 0, 0, 0, 1, 0, 0, 0, 0]);
  });

  it("refuses a dilation that is none, and images of which a window reads no pixel", () => {
    expect(() => new MaxPool2d({ kernelSize: 2, dilation: 0 })).toThrow(/dilation/);
    expect(() => new MaxPool2d({ kernelSize: 3, dilation: [2, 1] }).forward(randn([1, 1, 4, 4]))).toThrow(
      /window of \[3, 3\] with dilation \[2, 1\] does not fit/,
    );
    const between = new MaxPool2d({ kernelSize: 2, dilation: 3, padding: 1 });
    expect(() => between.forward(randn([1, 1, 2, 4]))).toThrow(/reads no pixel of an image of shape \[1, 1, 2, 4\]/);
  });
});

/** The norm of the Jacobian at a sample. */
function slopeAt(layer: Module, x: Tensor): number {
  const y = layer.forward(x).flatten();
  const rows = Array.from({ length: y.size }, (_, i) => [...grad(y.slice([i], [i + 1]).sum(), [x])[0].dataSync()]);
  return spectralNorm(rows.flat(), y.size, x.size);
}

describe("Lipschitz by construction", () => {
  it("is pooling whose constant is at most 1 for images of every size", () => {
    const known = (layer: Module): [boolean, number] => [
      layer.lipschitzByConstruction,
      layer.lipschitzBound() as number,
    ];
    expect(known(new MaxPool2d({ kernelSize: 2 }))).toEqual([true, 1]);
    expect(known(new MaxPool2d({ kernelSize: 3, stride: 2 }))).toEqual([false, 2]);
    expect(known(new AvgPool2d({ kernelSize: 2 }))).toEqual([true, expect.closeTo(1 / 2, 14)]);
    expect(new AvgPool2d({ kernelSize: 2, divisorOverride: 1 }).lipschitzByConstruction).toBe(false);
  });
});

describe("AvgPool2d", () => {
  it("has a bound for every size of image, of windows along one axis", () => {
    for (const geometry of geometries) {
      for (const countIncludePad of [true, false]) {
        const { kernel, stride, padding, ceil } = geometry;
        const layer = new AvgPool2d({
          kernelSize: [kernel, 1],
          stride: [stride, 1],
          padding: [padding, 0],
          ceilMode: ceil,
          countIncludePad,
        });
        const bound = layer.lipschitzBound();
        for (const extent of EXTENTS) {
          const border = countIncludePad ? padding : 0;
          const weight = ([start, stop]: Span): number =>
            1 / (Math.min(stop, extent + border) - Math.max(start, -border));
          const all = spans(extent, geometry);
          if (all.length > 0) expect(normOf(all, extent, weight)).toBeLessThanOrEqual(bound * (1 + 1e-12));
        }
      }
    }
  });

  it("of windows that do not overlap is as steep as a window: 1 over the root of its pixels", () => {
    expect(new AvgPool2d({ kernelSize: [2, 3] }).lipschitzBound()).toBeCloseTo(1 / Math.sqrt(6), 14);
    expect(new AvgPool2d({ kernelSize: 4, stride: 9 }).lipschitzBound()).toBeCloseTo(1 / 4, 14);
  });

  it("of ones is exactly 1", () => {
    const x = tensor(new Float32Array(49).fill(1), [1, 1, 7, 7]);
    expect(new Set(new AvgPool2d({ kernelSize: 3 }).forward(x).dataSync())).toEqual(new Set([1]));
    expect(new Set(new AvgPool2d({ kernelSize: 3, ceilMode: true }).forward(x).dataSync())).toEqual(new Set([1]));
  });
});

describe("what torchlip 1.0.5 makes steeper than it says", () => {
  it("average pooling with ceil mode: a window that is cut off has the scale of the others", () => {
    const pool = new ScaledAvgPool2d({ kernelSize: 2, ceilMode: true });
    const x = tensor([[[[1, 2, 3]]]]);
    // The reference averages 3 over itself and multiplies by 2: a slope of 2.
    expect([...pool.forward(x).dataSync()]).toEqual([1.5, 1.5]);
    expect(slopeAt(pool, x)).toBeLessThanOrEqual(1 + ROUNDING);
  });

  it("average pooling with a divisor: the scale takes it back", () => {
    const x = randn([1, 1, 4, 6], { seed: 1 });
    const plain = new ScaledAvgPool2d({ kernelSize: [2, 3] }).forward(x).dataSync();
    for (const divisorOverride of [1, 5, 100]) {
      const pool = new ScaledAvgPool2d({ kernelSize: [2, 3], divisorOverride });
      expect(pool.forward(x).dataSync()).toEqual(plain);
      expect(slopeAt(pool, x)).toBeLessThanOrEqual(1 + ROUNDING);
    }
  });

  it("average pooling that does not count its padding is refused", () => {
    const options = { kernelSize: 3, padding: 1, countIncludePad: false };
    expect(() => new ScaledAvgPool2d(options)).toThrow(/counts the pixels of its padding/);
    expect(() => new ScaledAvgPool2d({ kernelSize: 3, countIncludePad: false })).not.toThrow();
  });

  it("L2 pooling with ceil mode: a window that is cut off is the norm of what is left", () => {
    const pool = new ScaledL2NormPool2d({ kernelSize: 2, ceilMode: true });
    const x = tensor([[[[3, 4, -5]]]]);
    expect([...pool.forward(x).dataSync()]).toEqual([5, 5]);
    expect(slopeAt(pool, x)).toBeLessThanOrEqual(1 + ROUNDING);
  });
});

describe.each([
  [
    [6, 4],
    [3, 2],
  ],
  [
    [7, 5],
    [3, 2],
  ],
  [
    [5, 7],
    [1, 1],
  ],
  [
    [1, 3],
    [2, 5],
  ],
  [
    [10, 1],
    [7, 1],
  ],
] as const)("adaptive pooling of images of %o to %o", (size, outputSize) => {
  const along = (axis: 0 | 1): Span[] =>
    stretches(size[axis], outputSize[axis]).map(({ start, length }) => [start, start + length] as const);
  const windows = [along(0), along(1)] as const;

  it("has the windows of PyTorch", () => {
    for (const axis of [0, 1] as const) {
      const [extent, count] = [size[axis], outputSize[axis]];
      const rule = Array.from({ length: count }, (_, i) => {
        // start_index and end_index of aten/native/AdaptivePooling.h.
        const start = Math.trunc(i / count) * extent + Math.trunc(((i % count) * extent) / count);
        return [start, 1 + Math.trunc(((i + 1) * extent - 1) / count)];
      });
      expect(along(axis)).toEqual(rule);
    }
  });

  it("gives averages with one scale, and norms with one, and keeps its constant", async () => {
    for (const x of images(size)) {
      const averages = new ScaledAdaptiveAvgPool2d({ outputSize, kCoefLip: 2 });
      const plain = pooled(x, windows, (pixels) => sum(pixels) / pixels.length);
      const y = averages.forward(x);
      expect(y.shape).toEqual([2, 3, ...outputSize]);
      const share = (axis: 0 | 1): number =>
        Math.max(
          ...Array.from({ length: size[axis] }, (_, at) =>
            sum(along(axis).map(([start, stop]) => (start <= at && at < stop ? 1 / (stop - start) : 0))),
          ),
        );
      const scale = 2 / Math.sqrt(share(0) * share(1));
      const most = Math.max(...pooled(x, windows, (pixels) => sum(pixels.map(Math.abs)) / pixels.length));
      y.dataSync().forEach((value: number, i: number) => {
        expect(Math.abs(value - (plain[i] ?? Number.NaN) * scale)).toBeLessThanOrEqual(ROUNDING * most * scale);
      });
      const norms = new ScaledAdaptiveL2NormPool2d({ outputSize });
      const overlap = ([0, 1] as const).map((axis) => Math.max(...readings(along(axis), size[axis])));
      expectNear(
        norms.forward(x).dataSync(),
        pooled(x, windows, norm),
        1 / Math.sqrt(overlap.reduce((a, b) => a * b, 1)),
      );
      const one = tensor(x.dataSync().slice(0, size[0] * size[1]), [1, 1, ...size]);
      expect(slopeAt(averages, one)).toBeLessThanOrEqual(averages.lipschitzBound() * (1 + ROUNDING));
      expect(slopeAt(norms, one)).toBeLessThanOrEqual(norms.lipschitzBound() * (1 + ROUNDING));
    }
  });
});

describe("adaptive pooling", () => {
  it("is torchlip's for one window: the root of its pixels times the average, under torchlip's spelling too", () => {
    const x = randn([2, 1, 4, 3], { seed: 8 });
    const averages = new ScaledAdaptiveAvgPool2d({ outputSize: [1, 1] }).forward(x).dataSync();
    expectNear(averages, [...x.mean([2, 3]).mul(Math.sqrt(12)).dataSync()]);
    expect(ScaledAdaptativeL2NormPool2d).toBe(ScaledAdaptiveL2NormPool2d);
  });

  it("counts the roundings of the sample that it is asked about, whatever it has seen, and of no other", () => {
    const pool = new ScaledAdaptiveAvgPool2d({ outputSize: 1 });
    expect(pool.rounding(1, [1, 6, 9])).toEqual({ roundings: 14, offset: 0, peak: 8 });
    pool.forward(randn([1, 1, 40, 90]));
    expect(pool.rounding(1, [1, 6, 9])).toEqual({ roundings: 14, offset: 0, peak: 8 });
    const norms = new ScaledAdaptiveL2NormPool2d({ outputSize: [2, 3] });
    // Windows of 3 of 5 rows, and of 3 of 7 columns.
    expect(norms.rounding(6, [1, 5, 7]).roundings).toBe(2 * (3 + 3) + 8);
    for (const layer of [pool, norms]) expect(() => layer.rounding()).toThrow(/shape of a sample/);
  });

  it("has a gradient of as many ops for many windows of several sizes as for few", () => {
    const x = randn([1, 1, 28, 28], { seed: 2 });
    for (const Pool of [ScaledAdaptiveAvgPool2d, ScaledAdaptiveL2NormPool2d]) {
      const plans = [5, 12].map((outputSize) => {
        const pool = new Pool({ outputSize });
        const gradient = compile((at: Tensor) => grad(pool.forward(at).sum(), [at])[0]);
        gradient(x);
        return gradient.explain().split("\n").length;
      });
      expect(plans[1]).toBe(plans[0]);
    }
  });

  it("refuses images without pixels", () => {
    expect(() => new ScaledAdaptiveAvgPool2d({ outputSize: 1 }).forward(randn([1, 1, 0, 2]))).toThrow(
      /at least one pixel/,
    );
  });
});

/** Central differences of float32 results: the square root of their rounding. */
const DIFFERENCES = 1e-2;

describe.each<[string, () => Module, readonly number[]]>([
  ["MaxPool2d", () => new MaxPool2d({ kernelSize: 3, stride: 2, padding: 1, ceilMode: true }), [1, 2, 4, 6]],
  ["MaxPool2d", () => new MaxPool2d({ kernelSize: [2, 3], stride: [1, 2], padding: 1, dilation: 2 }), [1, 2, 4, 6]],
  ["AvgPool2d", () => new AvgPool2d({ kernelSize: 3, stride: 2, padding: 1, countIncludePad: false }), [1, 2, 5, 4]],
  ["ScaledAvgPool2d", () => new ScaledAvgPool2d({ kernelSize: 2, stride: 1, padding: 1 }), [1, 2, 3, 3]],
  [
    "ScaledL2NormPool2d",
    () => new ScaledL2NormPool2d({ kernelSize: 3, stride: 2, padding: 1, ceilMode: true }),
    [1, 1, 4, 6],
  ],
  ["ScaledAdaptiveAvgPool2d", () => new ScaledAdaptiveAvgPool2d({ outputSize: [3, 2] }), [1, 2, 5, 3]],
  ["ScaledAdaptiveL2NormPool2d", () => new ScaledAdaptiveL2NormPool2d({ outputSize: [3, 2] }), [1, 1, 5, 3]],
])("%s", (_, build, shape) => {
  it("has the gradients and second derivatives of finite differences", () => {
    const x = randn(shape, { seed: 21 });
    const [v, w] = [randn(shape, { seed: 22 }), randn(build().forward(x).shape, { seed: 23 })];
    // A square behind the layer, so that there is a second derivative of those that are linear too.
    const loss = (at: Tensor): Tensor => build().forward(at).square().mul(w).sum();
    const slope = (at: Tensor): Tensor => grad(loss(at), [at])[0].mul(v).sum();
    const step = 1e-3;
    const [up, down] = [x.add(v.mul(step)), x.sub(v.mul(step))];
    const first = (loss(up).item() - loss(down).item()) / (2 * step);
    expect(Math.abs(slope(x).item() - first)).toBeLessThan(DIFFERENCES * Math.max(1, Math.abs(first)));
    const second = grad(slope(x), [x])[0].mul(v).sum().item();
    const differences = (slope(up).item() - slope(down).item()) / (2 * step);
    expect(Math.abs(second - differences)).toBeLessThan(DIFFERENCES * Math.max(1, Math.abs(differences)));
  });

  it("refuses what is no batch of images", () => {
    expect(() => build().forward(randn([3, 4, 4]))).toThrow(
      /takes images \[n, channels, height, width\].*unsqueeze\(0\)/,
    );
  });
});

describe("MaxPool2d", () => {
  it("sends the gradient of a tie to the first of the largest, row by row, and none to its padding", () => {
    const gradient = (values: number[][], options: ConstructorParameters<typeof MaxPool2d>[0]): number[] => {
      const x = tensor([[values]]);
      return [...grad(new MaxPool2d(options).forward(x).sum(), [x])[0].dataSync()];
    };
    const tied = [
      [0, 7],
      [7, 7],
    ];
    expect(gradient(tied, { kernelSize: 2 })).toEqual([0, 1, 0, 0]);
    expect(gradient(tied, { kernelSize: 2, padding: 1, stride: 1 })).toEqual([1, 4, 3, 1]);
    expect(gradient([[-3]], { kernelSize: 3, padding: 1, stride: 1 })).toEqual([1]);
  });

  it("is as steep as is said where one pixel is the largest of all windows that share it", () => {
    const x = tensor(
      Float32Array.from({ length: 25 }, (_, i) => (i === 12 ? 1 : 0)),
      [1, 1, 5, 5],
    );
    const pool = new MaxPool2d({ kernelSize: 3, stride: 1 });
    expect(pool.lipschitzBound()).toBe(3);
    expect(slopeAt(pool, x)).toBeCloseTo(3, 6);
  });
});

describe("the gradient of L2 pooling", () => {
  it("is 0 and finite at all-zero windows, padded and cut off ones among them", () => {
    const layers = [
      new ScaledL2NormPool2d({ kernelSize: 3, stride: 2, padding: 1, ceilMode: true }),
      new ScaledAdaptiveL2NormPool2d({ outputSize: [2, 3] }),
    ];
    for (const layer of layers) {
      const x = tensor(new Float32Array(20), [1, 1, 4, 5]);
      const [first] = grad(layer.forward(x).sum(), [x]);
      const [second] = grad(first.sum(), [x]);
      for (const gradient of [first, second]) expect(new Set(gradient.dataSync())).toEqual(new Set([0]));
    }
  });
});
