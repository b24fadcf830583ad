// Layers that move pixels between blocks and channels, against plain loops.
import { grad, InvertibleDownSampling, InvertibleUpSampling, randn, type Tensor, tensor } from "tslip";
import { describe, expect, it } from "vitest";

/** Where pixel (channel, row, column) of large images stands among the small ones: torchlip 1.0.5's interleaving, PyTorch's PixelUnshuffle. */
function interleaved(x: Tensor, [kh, kw]: readonly [number, number]): Float32Array {
  const [samples = 0, channels = 0, height = 0, width = 0] = x.shape;
  const values = x.dataSync();
  const moved = new Float32Array(values.length);
  const [rows, columns] = [height / kh, width / kw];
  for (let n = 0; n < samples; n++) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < height; i++) {
        for (let j = 0; j < width; j++) {
          const channel = (c * kh + (i % kh)) * kw + (j % kw);
          const to = ((n * channels * kh * kw + channel) * rows + Math.floor(i / kh)) * columns + Math.floor(j / kw);
          moved[to] = values[((n * channels + c) * height + i) * width + j] ?? Number.NaN;
        }
      }
    }
  }
  return moved;
}

describe.each([
  [
    [2, 2],
    [2, 3, 6, 4],
  ],
  [
    [3, 3],
    [1, 2, 9, 6],
  ],
  [
    [1, 4],
    [2, 1, 1, 8],
  ],
  [
    [5, 1],
    [1, 7, 5, 1],
  ],
  [
    [1, 1],
    [3, 2, 2, 3],
  ],
] as const)("blocks of %o of images %o", (kernelSize, shape) => {
  const x = randn(shape, { seed: 4 });
  const down = new InvertibleDownSampling({ kernelSize });
  const up = new InvertibleUpSampling({ kernelSize });

  it("become channels, in the order of torchlip 1.0.5", () => {
    const y = down.forward(x);
    const [n, c, h, w] = shape;
    const [kh, kw] = kernelSize;
    expect(y.shape).toEqual([n, c * kh * kw, h / kh, w / kw]);
    expect(y.dataSync()).toEqual(interleaved(x, kernelSize));
  });

  it("come back", () => {
    const back = up.forward(down.forward(x));
    expect(back.shape).toEqual(x.shape);
    expect(back.dataSync()).toEqual(x.dataSync());
  });

  it("have the gradient of the inverse", () => {
    const y = down.forward(x);
    const cotangent = randn(y.shape, { seed: 6 });
    const [gradient] = grad(y.mul(cotangent).sum(), [x]);
    expect(gradient.dataSync()).toEqual(up.forward(cotangent).dataSync());
  });
});

describe("a coefficient, which torchlip 1.0.5 ignores,", () => {
  it.each([InvertibleDownSampling, InvertibleUpSampling])("scales what %o gives", (Layer) => {
    const x = randn([1, 4, 2, 2], { seed: 1 });
    const layer = new Layer({ kernelSize: 2, kCoefLip: 0.5 });
    const plain = new Layer({ kernelSize: 2 }).forward(x).dataSync();
    expect([...layer.forward(x).dataSync()]).toEqual([...plain].map((v) => 0.5 * v));
    expect(layer.lipschitzBound()).toBe(0.5);
    expect([...layer.vanillaExport().forward(x).dataSync()]).toEqual([...layer.forward(x).dataSync()]);
  });
});

it("refuses images and channels that blocks do not divide", () => {
  const x = tensor(new Float32Array(2 * 3 * 5), [1, 2, 3, 5]);
  expect(() => new InvertibleDownSampling({ kernelSize: [3, 2] }).forward(x)).toThrow(
    /kernelSize \[3, 2\] must divide the images; given \[1, 2, 3, 5\]/,
  );
  expect(() => new InvertibleUpSampling({ kernelSize: [2, 2] }).forward(x)).toThrow(
    /the 4 pixels of kernelSize \[2, 2\] must divide the channels; given \[1, 2, 3, 5\]/,
  );
  expect(() => new InvertibleDownSampling({ kernelSize: 2 }).forward(randn([4, 4]))).toThrow(/takes images/);
});
