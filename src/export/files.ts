// Models and tensors in safetensors files, under torchlip's key names.

import { clip, describe } from "../describe.js";
import { TslipError } from "../errors.js";
import * as native from "../native.js";
import type { Architecture } from "../nn/definition.js";
import { LipschitzModule, Module } from "../nn/index.js";
import { isPlain } from "../options.js";
import { bytesOf, fromBytes } from "../tensor/dtype.js";
import { Tensor, Value } from "../tensor/tensor.js";
import { fromJSON } from "./architecture.js";

const ARCHITECTURE_KEY = "tslip.architecture";

/**
 * Writes tensors by name, or the state dictionary of a model, to a safetensors file: under a temporary name first, so
 * that a failure leaves what was there. Throws `IO` with the reason.
 */
export async function saveSafetensors(
  tensors: Module | Readonly<Record<string, Tensor>>,
  path: string,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  checkPath(path);
  if (!(tensors instanceof Module || isPlain(tensors))) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `saveSafetensors takes a Module or tensors by name; given ${describe(tensors)}`,
    );
  }
  const texts = textsOf(metadata);
  const record = tensors instanceof Module ? await tensors.stateDict() : tensors;
  const entries: native.FileEntry[] = [];
  for (const [name, t] of Object.entries(record)) {
    if (!(t instanceof Tensor)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `saveSafetensors takes tensors by name, then the path; "${clip(name, 40)}" is ${describe(t)}`,
      );
    }
    const values = t instanceof Value ? t.held() : await t.data();
    entries.push({ name, dtype: t.dtype, shape: [...t.shape], data: bytesOf(values) });
  }
  native.saveSafetensors(path, entries, texts);
}

/** Reads the tensors of a safetensors file. Throws `IO` or `INVALID_FILE` with the reason. */
export async function loadSafetensors(path: string): Promise<Record<string, Value>> {
  return readFile(path).tensors;
}

/** Writes a model, weights and architecture, to a safetensors file. Throws `UNSUPPORTED` for classes of your own. */
export async function saveModel(model: Module, path: string): Promise<void> {
  if (!((model as unknown) instanceof Module)) {
    throw new TslipError("INVALID_ARGUMENT", `saveModel takes a Module, then the path; given ${describe(model)}`);
  }
  const architecture = JSON.stringify(alone(model));
  await saveSafetensors(model, path, { [ARCHITECTURE_KEY]: architecture });
}

/** Builds the model that {@link saveModel} wrote, in evaluation mode. Throws `IO` or `INVALID_FILE` with the reason. */
export async function loadModel(path: string): Promise<Module> {
  const { tensors, metadata } = readFile(path);
  const text = metadata[ARCHITECTURE_KEY];
  if (text === undefined) {
    throw new TslipError(
      "INVALID_FILE",
      `${path} holds tensors but no architecture; build the model and use loadStateDict(await loadSafetensors(path))`,
    );
  }
  const model = fromJSON(parse(text, path), tensors);
  try {
    model.loadStateDict(tensors);
  } catch (error) {
    if (!(error instanceof TslipError)) throw error;
    throw new TslipError("INVALID_FILE", `${path}: ${error.message}`, { shapes: error.shapes, cause: error });
  }
  return model.eval();
}

/** The architecture of a model that is saved by itself: a constant that a Sequential around it has set is written down. */
function alone(model: Module): Architecture {
  const architecture = model.toJSON();
  const shared =
    model instanceof LipschitzModule && model.lipschitzByConstruction && model.givenCoefficient === undefined;
  return shared && model.kCoefLip !== 1 ? { ...architecture, kCoefLip: model.kCoefLip } : architecture;
}

function readFile(path: string): { tensors: Record<string, Value>; metadata: Record<string, string> } {
  checkPath(path);
  const { entries, metadata } = native.loadSafetensors(path);
  const named = entries.map((e): [string, Value] => [e.name, new Value(fromBytes(e.dtype, e.data), e.shape, e.dtype)]);
  return { tensors: Object.fromEntries(named), metadata };
}

function checkPath(path: string): void {
  if (typeof path === "string" && path !== "") return;
  throw new TslipError("INVALID_ARGUMENT", `the path of a file is a text; given ${describe(path)}`);
}

/** Metadata of a file, which holds texts alone. */
function textsOf(metadata: Readonly<Record<string, string>>): Record<string, string> {
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) {
    throw new TslipError("INVALID_ARGUMENT", `metadata are texts by name; given ${describe(metadata)}`);
  }
  for (const [name, text] of Object.entries(metadata)) {
    if (typeof text === "string") continue;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `metadata are texts by name; "${clip(name, 40)}" is ${describe(text)}; make it one with String or JSON.stringify`,
    );
  }
  return { ...metadata };
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TslipError("INVALID_FILE", `the architecture in ${path} is not JSON`, { cause });
  }
}
