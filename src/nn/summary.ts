// The table of a model: layers, output shapes, parameters, Lipschitz bounds.

import { TslipError } from "../errors.js";
import { isPromise, quiet } from "../promise.js";
import { checkShape, type Shape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { Trace } from "../tensor/trace.js";
import { runThrough, TENSORS } from "./flow.js";
import type { Layer } from "./layer.js";
import { refuseOverridden } from "./overridden.js";

const LARGEST_GUESSED_IMAGE = 512;

/** The table as text, below it how many parameters are frozen, if any. Without `inputShape` the smallest square image that the model accepts is taken. */
export function summarize(model: Layer, inputShape?: Shape): string {
  if (inputShape !== undefined) checkShape(inputShape);
  const leaves = leavesOf(model);
  const shapes = inputShape === undefined ? guessedShapes(model, leaves) : shapesFor(model, inputShape);
  const count = (module: Layer): number => module.parameters().reduce((n, p) => n + p.size, 0);
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
  const frozen = model.parameters().reduce((n, { size, trainable }) => (trainable ? n : n + size), 0);
  const apart = frozen === 0 ? [] : [`Trainable parameters: ${count(model) - frozen}, frozen: ${frozen}`];
  return [line(header), rule("="), ...rows.map(line), rule("-"), line(total), ...apart].join("\n");
}

interface Leaf {
  path: string;
  layer: Layer;
}

/** The layers that have no parts, in the order in which a value runs through them. */
function leavesOf(model: Layer): Leaf[] {
  const leaves: Leaf[] = [];
  const nothing = (): undefined => undefined;
  const through = (layer: Layer, _: undefined, path: string): undefined => void leaves.push({ path, layer });
  runThrough(model, undefined, { through, sum: nothing, concat: nothing });
  return leaves;
}

/** Shapes of the results of these layers, and of the whole, for a sample of `inputShape`. */
function shapesFor(model: Layer, inputShape: Shape): Shape[] {
  const trace = new Trace();
  const shapes: Shape[] = [];
  return trace.record(() => {
    const x = new Tensor("input", { index: 0, batched: true }, [], [1, ...inputShape], "f32", trace);
    const through = (layer: Layer, value: Tensor): Tensor => {
      const result = layer.forward(value);
      shapes.push(result.shape);
      return result;
    };
    const { shape } = runThrough(model, x, { ...TENSORS, through });
    return [...shapes, shape];
  });
}

/** The same for the smallest square image that the model takes, where its layers leave the size of images open. */
function guessedShapes(model: Layer, leaves: readonly Leaf[]): Shape[] | undefined {
  const taken = leaves.flatMap(({ layer: { inputShape } }) => (inputShape === undefined ? [] : [inputShape]));
  const complete = (shape: readonly (number | undefined)[]): shape is number[] => shape.every((n) => n !== undefined);
  const [first] = taken;
  if (first === undefined) return undefined;
  if (complete(first)) return shapesFor(model, first);
  // Only a layer that fixes the size of what it takes, as a dense one, says how large the image must be.
  if (!taken.some(complete)) return undefined;
  for (let side = 1; side <= LARGEST_GUESSED_IMAGE; side++) {
    try {
      return shapesFor(
        model,
        first.map((extent) => extent ?? side),
      );
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

function showBound(layer: Layer): string {
  try {
    refuseOverridden(layer, "lipschitzBound");
    const bound = quiet(layer.lipschitzBound());
    return isPromise(bound) ? "?" : bound.toPrecision(8);
  } catch (error) {
    if (error instanceof TslipError && error.code === "NOT_LIPSCHITZ") return "none";
    throw error;
  }
}

function lineLength(widths: readonly number[]): number {
  return widths.reduce((n, w) => n + w, 0) + 2 * (widths.length - 1);
}
