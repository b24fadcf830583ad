// MonitorSingularValues: the largest and the smallest singular value of each layer's weight, from epoch to epoch.
import { singularValues } from "../../native.js";
import type { Module } from "../../nn/index.js";
import { print } from "../../node/index.js";
import { flag, type Options, readOptions, type Schema, whole } from "../../options.js";
import { bytesOf } from "../../tensor/dtype.js";
import { Parameter, type Tensor } from "../../tensor/index.js";
import type { Callback, TrainingControl } from "../callback.js";
import type { EpochRecord, Metrics } from "../history.js";

export interface MonitorSingularValuesOptions {
  /** Epochs from one look to the next, by default 1. */
  every?: number;
  /** Print a table on stdout, by default true. */
  verbose?: boolean;
}

/** What was found of a layer. */
export interface LayerSingularValues {
  /** Its place in the model, such as `0` or `2.inner`; empty for the model itself. */
  readonly name: string;
  /** Its class. */
  readonly layer: string;
  readonly largest: number;
  readonly smallest: number;
}

/** What was found after an epoch. */
export interface EpochSingularValues {
  readonly epoch: number;
  readonly layers: readonly LayerSingularValues[];
}

const OPTIONS = { every: whole(1, 1), verbose: flag(true) } satisfies Schema<keyof MonitorSingularValuesOptions>;

/**
 * After an epoch, the extreme singular values of the effective weight of each layer that has one, as a matrix with its first axis for
 * rows. Of a dense layer they are those of its map; of a convolution they say how orthogonal its kernel is, and its Lipschitz constant
 * is what `lipschitzBound()` gives. In float64, off the event loop: a smallest one below 1e-14 of the largest may be read as 0.
 */
export class MonitorSingularValues implements Callback {
  readonly options: Options<typeof OPTIONS>;
  /** One entry for each epoch that was looked at. */
  readonly history: EpochSingularValues[] = [];

  constructor(options: MonitorSingularValuesOptions = {}) {
    this.options = readOptions("MonitorSingularValues", OPTIONS, options);
  }

  async onEpochEnd({ epoch }: EpochRecord<Metrics>, { model }: TrainingControl): Promise<void> {
    const { every, verbose } = this.options;
    if (epoch % every !== 0) return;
    const weights = named(model).flatMap(([name, module]) => {
      const weight = weightOf(module);
      return weight === undefined ? [] : [{ name, layer: module.constructor.name, weight }];
    });
    // Asked for together, so that they are of one moment whoever else changes them.
    const values = await Promise.all(weights.map(({ weight }) => weight.data()));
    const layers: LayerSingularValues[] = [];
    for (const [i, { name, layer, weight }] of weights.entries()) {
      const [rows = 0] = weight.shape;
      const bytes = bytesOf(values[i] ?? new Float32Array());
      const found = await singularValues(bytes, [rows, weight.size / Math.max(rows, 1)], { extremes: true });
      layers.push({ name, layer, largest: found[0] ?? 0, smallest: found.at(-1) ?? 0 });
    }
    this.history.push({ epoch, layers });
    if (verbose) print(table(layers));
  }
}

/** A module and all below it, each once, with their places. */
function named(model: Module): [string, Module][] {
  const found = new Map<Module, string>([[model, ""]]);
  for (const [module, place] of found) {
    for (const [name, child] of module.children()) {
      // The modules of a list have no field of their own.
      if (!found.has(child)) found.set(child, `${place === "" ? "" : `${place}.`}${name.replace(/^layers\./, "")}`);
    }
  }
  return [...found].map(([module, place]) => [place, module]);
}

/** The matrix or kernel that a layer computes with, if it has one. */
function weightOf(module: Module & { effectiveWeight?: unknown; weight?: unknown }): Tensor | undefined {
  const weight: unknown =
    typeof module.effectiveWeight === "function" ? module.effectiveWeight() : (module.weight ?? undefined);
  if (typeof module.effectiveWeight !== "function" && !(weight instanceof Parameter)) return undefined;
  const tensor = weight as Tensor;
  return tensor.rank >= 2 ? tensor : undefined;
}

function table(layers: readonly LayerSingularValues[]): string {
  const places = layers.map(({ name, layer }) => `${name} ${layer}`.trim());
  const width = Math.max(5, ...places.map((place) => place.length));
  const rows = layers.map(({ largest, smallest }, i) => {
    const numbers = [largest, smallest].map((value) => value.toPrecision(6).padStart(12));
    return `${(places[i] ?? "").padEnd(width)} ${numbers.join(" ")}`;
  });
  return [`${"layer".padEnd(width)} ${"largest".padStart(12)} ${"smallest".padStart(12)}`, ...rows].join("\n");
}
