// Bounds and certificates of convolutions: the windows that read a pixel, and weights that the engine takes for zero.
import { Conv2d, certify, Flatten, type PaddingMode, Sequential, tensor } from "tslip";
import { describe, expect, it } from "vitest";
import { spectralNorm } from "./float64.js";

const MODES: readonly PaddingMode[] = ["zeros", "circular", "reflect", "replicate", "symmetric"];

/** An image of one channel with a single pixel of 1 for each pixel there is. */
function units(size: number) {
  const pixels = Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  return tensor(pixels, [size, 1, 1, size]);
}

describe("a stride that passes the window", () => {
  it("leaves no bound of 0 to a convolution of 1x1 windows, stride 8 and padding 1", async () => {
    const options = { kernelSize: 1, stride: 8, padding: 1, bias: false } as const;
    for (const size of [{ inputSize: [28, 28] as const }, {}]) {
      const layer = new Conv2d(1, 1, { ...options, ...size }, { weight: tensor([1], [1, 1, 1, 1]), bias: undefined });
      expect(layer.lipschitzBound()).toBeGreaterThanOrEqual(1);
      // Two of nine windows are the logits, one pixel each: .2 apart, they are level .2 / sqrt(2) away.
      const head = new Sequential([layer, new Flatten()], { constrained: false });
      const pixels = new Float32Array(784);
      pixels[7 * 28 + 7] = 0.2;
      const [certificate] = await certify(head, tensor(pixels, [1, 1, 28, 28]));
      expect(certificate?.predicted).toBe(5);
      expect(certificate?.radius).toBeLessThan(0.2 / Math.SQRT2);
      expect(certificate?.radius).toBeGreaterThan(0.14);
    }
  });

  it("or any other, with any dilation, padding and size: the bound is never below the norm of the convolution written out", () => {
    let checked = 0;
    for (const paddingMode of MODES) {
      for (const size of [1, 4, 13, 28]) {
        for (const kernel of [1, 2, 3]) {
          for (const dilation of kernel === 1 ? [1] : [1, 3, 12]) {
            for (const padding of [0, 1, 4, 12]) {
              const smallest = { zeros: 1, replicate: 1, reflect: padding + 1, circular: padding, symmetric: padding };
              if (size < smallest[paddingMode] || size + 2 * padding < dilation * (kernel - 1) + 1) continue;
              for (let stride = 1; stride <= 12; stride++) {
                const layer = new Conv2d(
                  1,
                  1,
                  {
                    kernelSize: [1, kernel],
                    stride: [1, stride],
                    dilation: [1, dilation],
                    padding: [0, padding],
                    paddingMode,
                    bias: false,
                    inputSize: [1, size],
                  },
                  { weight: tensor(new Float32Array(kernel).fill(1), [1, 1, 1, kernel]), bias: undefined },
                );
                const matrix = layer.forward(units(size)).dataSync();
                const norm = spectralNorm(matrix, size, matrix.length / size);
                const what = `${paddingMode} ${size} kernel ${kernel} stride ${stride} dilation ${dilation} padding ${padding}`;
                expect(layer.lipschitzBound(), what).toBeGreaterThanOrEqual(norm * (1 - 1e-12));
                checked += 1;
              }
            }
          }
        }
      }
    }
    expect(checked).toBeGreaterThan(3000);
  });

  it("is refused where the image is too small for the padding to be counted", () => {
    for (const paddingMode of ["circular", "reflect", "symmetric"] as const) {
      const smallest = paddingMode === "reflect" ? 5 : 4;
      const layer = new Conv2d(1, 1, { kernelSize: 3, padding: 4, paddingMode });
      const run = (size: number) => layer.forward(tensor(new Float32Array(size * size), [1, 1, size, size]));
      expect(run(smallest).shape.length).toBe(4);
      expect(() => run(smallest - 1)).toThrow(/padding/);
    }
  });
});

describe("weights that the engine takes for zero", () => {
  const SMALLEST_NORMAL = 2 ** -126;
  const LARGEST_SUBNORMAL = 2 ** -126 - 2 ** -149;

  // Two rows that are orthogonal, until half of one is flushed. Of the image, one pixel, every tap sees a copy.
  it.each([31, 63, 91].flatMap((kernel) => [2, 4, 16, 256].map((channels) => ({ kernel, channels }))))(
    "in a kernel of $kernel x $kernel over copies of one pixel of $channels channels",
    async ({ kernel, channels }) => {
      const taps = kernel * kernel;
      const weight = new Float32Array(2 * channels * taps).fill(SMALLEST_NORMAL);
      weight.fill(-SMALLEST_NORMAL, channels * taps, channels * taps * 1.5);
      weight.fill(LARGEST_SUBNORMAL, channels * taps * 1.5);
      const model = new Sequential(
        [
          new Conv2d(
            channels,
            2,
            { kernelSize: kernel, padding: (kernel - 1) / 2, paddingMode: "replicate", inputSize: [1, 1] },
            { weight: tensor(weight, [2, channels, kernel, kernel]), bias: tensor([1e-20, 0]) },
          ),
          new Flatten(),
        ],
        { constrained: false },
      );
      // The steepest way down for the difference of what is computed: 2 for each channel of the first half, 1 for the others.
      const direction = Float64Array.from({ length: channels }, (_, c) => (c < channels / 2 ? -2 : -1));
      const length = Math.hypot(...direction);
      const classAt = async (distance: number): Promise<number | undefined> => {
        const pixels = Float32Array.from(direction, (d) => (d / length) * distance);
        return (await model.classify(tensor(pixels, [1, channels, 1, 1])))[0];
      };
      const [certificate] = await certify(model, tensor(new Float32Array(channels), [1, channels, 1, 1]));
      const flips = 1e-20 / (taps * SMALLEST_NORMAL * length);
      const radius = certificate?.radius ?? Number.NaN;
      expect(await classAt(flips * 1.01)).toBe(1);
      expect(radius).toBeLessThan(flips);
      expect(radius).toBeGreaterThan(flips / 100);
      expect(await classAt(radius)).toBe(0);
    },
  );
});
