// From the architecture JSON of a file back to layers: one line per class.
import { TslipError } from "../errors.js";
import * as nn from "../nn/index.js";
import type { Shape } from "../tensor/shape.js";

/** Arguments as the file has them; constructors check each one. */
type Arguments = Readonly<Record<string, unknown>>;

/** Tensors of the file by their keys in the state dictionary of the whole. */
type Tensors = Readonly<Record<string, { readonly shape: Shape }>>;

const builders: Readonly<Record<string, (a: Arguments, tensors: Tensors | undefined, prefix: string) => nn.Module>> = {
  Sequential: (a, tensors, prefix) => new nn.Sequential(layersOf(a["layers"], tensors, prefix), a),
  SpectralLinear: (a) => new nn.SpectralLinear(Number(a["inFeatures"]), Number(a["outFeatures"]), a),
  SpectralConv2d: (a) => new nn.SpectralConv2d(Number(a["inChannels"]), Number(a["outChannels"]), withKernel(a)),
  Linear: (a) => new nn.Linear(Number(a["inFeatures"]), Number(a["outFeatures"]), a),
  Conv2d: (a) => new nn.Conv2d(Number(a["inChannels"]), Number(a["outChannels"]), withKernel(a)),
  GroupSort: (a) => new nn.GroupSort(Number(a["groupSize"]), a),
  GroupSort2: (a) => new nn.GroupSort2(a),
  ScaledL2NormPool2d: (a) => new nn.ScaledL2NormPool2d(withKernel(a)),
  ReLU: () => new nn.ReLU(),
  Flatten: () => new nn.Flatten(),
  Identity: () => new nn.Identity(),
};

/** Key and shape of the weight by which a layer of a class is known to be the one that the file holds. */
const weights: Readonly<Record<string, (a: Arguments) => [key: string, shape: unknown[]]>> = {
  SpectralLinear: (a) => ["parametrizations.weight.original", [a["outFeatures"], a["inFeatures"]]],
  SpectralConv2d: (a) => ["parametrizations.weight.original", kernelShape(a)],
  Linear: (a) => ["weight", [a["outFeatures"], a["inFeatures"]]],
  Conv2d: (a) => ["weight", kernelShape(a)],
};

function kernelShape(a: Arguments): unknown[] {
  return [a["outChannels"], Number(a["inChannels"]) / Number(a["groups"] ?? 1), ...withKernel(a).kernelSize];
}

/**
 * Builds what {@link nn.Module.architecture} described, with fresh weights. Where the `tensors` of a file are given, a layer
 * is built only once they are known to hold its weight: a few bytes can describe layers of any size. Throws `INVALID_FILE` for anything else.
 */
export function buildModule(description: unknown, tensors?: Tensors, prefix = ""): nn.Module {
  if (!isRecord(description) || typeof description["type"] !== "string") {
    throw new TslipError("INVALID_FILE", "a layer of the architecture is no object with a type");
  }
  const { type, ...rest } = description;
  const build = Object.hasOwn(builders, type) ? builders[type] : undefined;
  if (build === undefined) {
    throw new TslipError(
      "INVALID_FILE",
      `there is no layer of type "${type}"; known are ${Object.keys(builders).join(", ")}`,
    );
  }
  try {
    if (tensors !== undefined) checkWeight(type, rest, tensors, prefix);
    return build(rest, tensors, prefix);
  } catch (error) {
    if (!(error instanceof TslipError) || error.code === "INVALID_FILE") throw error;
    throw new TslipError("INVALID_FILE", `the layer of type "${type}" cannot be built: ${error.message}`, {
      cause: error,
    });
  }
}

function checkWeight(type: string, a: Arguments, tensors: Tensors, prefix: string): void {
  const weight = Object.hasOwn(weights, type) ? weights[type] : undefined;
  if (weight === undefined) return;
  const [name, shape] = weight(a);
  const key = prefix + name;
  const given = Object.hasOwn(tensors, key) ? tensors[key]?.shape : undefined;
  if (given !== undefined && given.join() === shape.join()) return;
  throw new TslipError(
    "INVALID_FILE",
    `the layer of type "${type}" needs ${key} of shape [${shape.join(", ")}]; the file has ` +
      `${given === undefined ? "none" : `[${given.join(", ")}]`}`,
  );
}

function layersOf(layers: unknown, tensors: Tensors | undefined, prefix: string): nn.Module[] {
  if (!Array.isArray(layers))
    throw new TslipError("INVALID_FILE", "a Sequential of the architecture has no list of layers");
  return layers.map((layer: unknown, i) => buildModule(layer, tensors, `${prefix}${i}.`));
}

function withKernel(a: Arguments): Arguments & { kernelSize: [number, number] } {
  const { kernelSize } = a;
  const given: readonly unknown[] = Array.isArray(kernelSize) ? kernelSize : [kernelSize, kernelSize];
  const [height, width] = given;
  if (given.length !== 2 || typeof height !== "number" || typeof width !== "number") {
    throw new TslipError(
      "INVALID_FILE",
      `kernelSize must be a number or a pair; the file has ${JSON.stringify(kernelSize)}`,
    );
  }
  return { ...a, kernelSize: [height, width] };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
