// From the architecture JSON of a file back to layers: one line per class.
import { TslipError } from "../errors.js";
import * as nn from "../nn/index.js";

/** Arguments as the file has them; constructors check each one. */
type Arguments = Readonly<Record<string, unknown>>;

const builders: Readonly<Record<string, (a: Arguments) => nn.Module>> = {
  Sequential: (a) => new nn.Sequential(layersOf(a["layers"]), a),
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

/** Builds what {@link nn.Module.architecture} described. Throws `INVALID_FILE` for anything else. */
export function buildModule(description: unknown): nn.Module {
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
    return build(rest);
  } catch (error) {
    if (!(error instanceof TslipError) || error.code === "INVALID_FILE") throw error;
    throw new TslipError("INVALID_FILE", `the layer of type "${type}" cannot be built: ${error.message}`, {
      cause: error,
    });
  }
}

function layersOf(layers: unknown): nn.Module[] {
  if (!Array.isArray(layers))
    throw new TslipError("INVALID_FILE", "a Sequential of the architecture has no list of layers");
  return layers.map(buildModule);
}

function withKernel(a: Arguments): Arguments & { kernelSize: nn.Conv2dOptions["kernelSize"] } {
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
