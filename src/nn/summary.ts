// The table of a model: layers, output shapes, parameters, Lipschitz bounds.
import { TslipError } from "../errors.js";
import type { Shape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { Trace } from "../tensor/trace.js";
import type { Module } from "./module.js";

const LARGEST_GUESSED_IMAGE = 512;

/** The table as text. Without `inputShape` the smallest square image that the model accepts is taken. */
export function summarize(model: Module, inputShape?: Shape): string {
  const leaves = layersOf(model);
  const shapes = inputShape === undefined ? guessedShapes(leaves) : outputShapes(leaves, inputShape);
  const count = (module: Module): number => module.parameters().reduce((n, p) => n + p.size, 0);
  const rows = leaves.map(({ path, layer }, i) => [
    `${path === "" ? "" : `${path}: `}${layer.constructor.name}`,
    showBatched(shapes?.[i]),
    String(count(layer)),
    showBound(layer),
  ]);
  const header = ["Layer", "Output shape", "Parameters", "Lipschitz bound"];
  const total = [model.constructor.name, showBatched(shapes?.at(-1)), String(count(model)), showBound(model)];
  const widths = header.map((_, c) => Math.max(...[header, ...rows, total].map((row) => (row[c] ?? "").length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, c) => (c < 2 ? cell.padEnd(widths[c] ?? 0) : cell.padStart(widths[c] ?? 0))).join("  ");
  const rule = (mark: string): string => mark.repeat(lineLength(widths));
  return [line(header), rule("="), ...rows.map(line), rule("-"), line(total)].join("\n");
}

interface Leaf {
  path: string;
  layer: Module;
}

/** Layers in order; nested containers whose children are run one after another are opened. */
function layersOf(model: Module, path = ""): Leaf[] {
  if (!("layers" in model) || !Array.isArray(model.layers)) return [{ path, layer: model }];
  return model.children().flatMap(([name, child]) => layersOf(child, path === "" ? name : `${path}.${name}`));
}

function outputShapes(leaves: readonly Leaf[], inputShape: Shape): Shape[] {
  const trace = new Trace();
  return trace.record(() => {
    let x = new Tensor("input", { index: 0, batched: true }, [], [1, ...inputShape], "f32", trace);
    return leaves.map(({ layer }) => {
      x = layer.forward(x);
      return x.shape;
    });
  });
}

function guessedShapes(leaves: readonly Leaf[]): Shape[] | undefined {
  const first = leaves.find(({ layer }) => "inChannels" in layer || "inFeatures" in layer)?.layer;
  if (first === undefined) return undefined;
  if ("inFeatures" in first && typeof first.inFeatures === "number") return outputShapes(leaves, [first.inFeatures]);
  const channels = "inChannels" in first && typeof first.inChannels === "number" ? first.inChannels : 1;
  // Only a linear layer says how large the image must be.
  if (!leaves.some(({ layer }) => "inFeatures" in layer)) return undefined;
  for (let side = 1; side <= LARGEST_GUESSED_IMAGE; side++) {
    try {
      return outputShapes(leaves, [channels, side, side]);
    } catch (error) {
      if (!(error instanceof TslipError)) throw error;
    }
  }
  return undefined;
}

function showBatched(shape: Shape | undefined): string {
  return shape === undefined
    ? "?"
    : `[N${shape
        .slice(1)
        .map((n) => `, ${n}`)
        .join("")}]`;
}

function showBound(layer: Module): string {
  try {
    return layer.lipschitzBound().toPrecision(8);
  } catch (error) {
    if (error instanceof TslipError && error.code === "NOT_LIPSCHITZ") return "none";
    throw error;
  }
}

function lineLength(widths: readonly number[]): number {
  return widths.reduce((n, w) => n + w, 0) + 2 * (widths.length - 1);
}
