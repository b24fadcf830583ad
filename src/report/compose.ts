// Turns images, classes and figures of an attack into the panels of its figure. Pure arithmetic on pixels.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { wholeNumber } from "../tensor/shape.js";
import type { FigureContent, Panel, Picture } from "./svg.js";

export type Shape = readonly [count: number, channels: 1 | 3, height: number, width: number];

/** All that a figure shows. Pixels are row-major of `shape`; lists have an entry an image. */
export interface FigureParts {
  shape: Shape;
  before: Float32Array;
  after: Float32Array;
  /** Classes of `before` and `after`. */
  predicted: ArrayLike<number>;
  predictedAfter: ArrayLike<number>;
  classNames: readonly string[];
  /** Certified radii; undefined where there are none. */
  radii: readonly number[] | undefined;
  /** Distances found; undefined for the L2 norms of the differences, Infinity where the attack failed. */
  distances: ArrayLike<number> | undefined;
  bounds: readonly [number, number];
}

const RED = "#ff0000";
const GREEN = "#00ff00";

/** A proved radius as text with so many decimals: never more than what was proved. */
export function formatRadius(radius: number, decimals = 3): string {
  if (typeof radius !== "number") {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `a radius is a number; given ${describe(radius)}; certify() gives a list of them`,
    );
  }
  wholeNumber("decimals", decimals, 0);
  const text = radius.toFixed(decimals);
  return Number(text) <= radius ? text : (radius - 10 ** -decimals).toFixed(decimals);
}

/** The panels of the figure, titled. */
export function composeFigure(parts: FigureParts): FigureContent {
  const { shape, bounds, classNames } = parts;
  const [count, channels, height, width] = shape;
  const size = channels * height * width;
  const nameOf = (label: number | undefined) => classNames[label ?? -1] ?? `class ${label}`;
  const rows: Panel[][] = [];
  for (let row = 0; row < count; row += 1) {
    const original = parts.before.subarray(row * size, (row + 1) * size);
    const adversarial = parts.after.subarray(row * size, (row + 1) * size);
    const proved = parts.radii?.[row];
    const radius = proved === undefined ? "none" : formatRadius(proved);
    const distance = parts.distances?.[row] ?? l2Distance(original, adversarial);
    rows.push([
      { title: nameOf(parts.predicted[row]), picture: picture(original, shape, bounds) },
      { title: nameOf(parts.predictedAfter[row]), picture: picture(adversarial, shape, bounds) },
      {
        title: `certif: ${radius}, obs: ${Number.isFinite(distance) ? distance.toFixed(2) : "none"}`,
        picture: differenceMap(original, adversarial, shape),
      },
    ]);
  }
  return {
    description: `${count} ${count === 1 ? "image" : "images"}, the adversarial images found for them, and the differences`,
    columns: ["Original", "Adversarial", "Difference"],
    rows,
    legend: [
      { color: RED, text: "less light" },
      { color: GREEN, text: "more light" },
    ],
  };
}

function l2Distance(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - (b[i] as number)) ** 2, 0));
}

/** Channels first in `bounds` to 8-bit pixels, channels last. */
function picture(
  planes: Float32Array,
  [, channels, height, width]: Shape,
  [low, high]: readonly [number, number],
): Picture {
  const area = height * width;
  const pixels = new Uint8Array(area * channels);
  for (let channel = 0; channel < channels; channel += 1) {
    for (let i = 0; i < area; i += 1) {
      const light = ((planes[channel * area + i] as number) - low) / (high - low);
      pixels[i * channels + channel] = Math.round(255 * Math.min(1, Math.max(0, light)));
    }
  }
  return { width, height, channels, pixels };
}

/** Light lost in red and gained in green, the mean over the channels, divided by the largest of either; black where none changed. */
function differenceMap(before: Float32Array, after: Float32Array, [, channels, height, width]: Shape): Picture {
  const area = height * width;
  const difference = new Float64Array(area);
  for (let i = 0; i < area * channels; i += 1) {
    difference[i % area] = (difference[i % area] as number) + (after[i] as number) - (before[i] as number);
  }
  const largest = difference.reduce((maximum, value) => Math.max(maximum, Math.abs(value)), 0);
  const pixels = new Uint8Array(3 * area);
  if (largest > 0) {
    difference.forEach((value, i) => {
      pixels[3 * i + (value < 0 ? 0 : 1)] = Math.round((255 * Math.abs(value)) / largest);
    });
  }
  return { width, height, channels: 3, pixels };
}
