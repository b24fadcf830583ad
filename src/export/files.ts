// Models and tensors in safetensors files, under torchlip's key names.

import { clip, describe } from "../describe.js";
import { TslipError } from "../errors.js";
import * as native from "../native.js";
import type { Architecture } from "../nn/definition.js";
import { LipschitzModule, Module } from "../nn/index.js";
import { isPlain } from "../options.js";
import { quiet } from "../promise.js";
import { readStates } from "../tensor/compile.js";
import { bytesOf, fromBytes } from "../tensor/dtype.js";
import { Tensor, Value } from "../tensor/tensor.js";
import { fromJSON } from "./architecture.js";

const ARCHITECTURE_KEY = "tslip.architecture";
/** Under this name the format keeps the texts. */
const METADATA_KEY = "__metadata__";

/**
 * Writes tensors by name, or the state dictionary of a model, to a safetensors file: under a temporary name first, so
 * that a failure leaves what was there. What no reader would take is refused before that, with `INVALID_ARGUMENT`: the name
 * `__metadata__`, names and texts that are no Unicode, metadata that is no text, no tensors at all. Throws `IO` with the reason.
 */
export async function saveSafetensors(
  tensors: Module | Readonly<Record<string, Tensor>>,
  path: string,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  checkPath(path);
  const texts = textsOf(metadata);
  if (!(tensors instanceof Module)) checkTensors(tensors);
  // All that is to be read is of the moment of the call.
  const reading = quiet(tensors instanceof Module ? tensors.stateDict() : valuesOf(tensors));
  await inTurn(path, async () => {
    const record = await reading;
    checkTensors(record);
    const entries = entriesOf(record);
    if (entries.length + texts.size === 0) refuse("there are no tensors to save; give at least one, or metadata");
    await native.saveSafetensors(path, entries, Object.fromEntries(texts));
  });
}

function entriesOf(record: Readonly<Record<string, Value>>): native.FileEntry[] {
  return Object.entries(record).map(([name, value]) => {
    const { dtype, shape } = value;
    return { name, dtype, shape: [...shape], data: bytesOf(value.held()) };
  });
}

/** The values of tensors; those that are known do not pass through the engine. */
async function valuesOf(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, Value>> {
  const all = Object.entries(tensors);
  const open = all.filter(([, t]) => !(t instanceof Value));
  const read = open.length > 0 ? await readStates(Object.fromEntries(open)) : {};
  // In the order in which they were given.
  return { ...tensors, ...read } as Record<string, Value>;
}

/** Reads the tensors of a safetensors file. Throws `IO` or `INVALID_FILE` with the reason. */
export async function loadSafetensors(path: string): Promise<Record<string, Value>> {
  return (await readFile(path)).tensors;
}

/** Writes a model, weights and architecture, to a safetensors file. Throws `UNSUPPORTED` for classes of your own. */
export async function saveModel(model: Module, path: string): Promise<void> {
  if (!((model as unknown) instanceof Module))
    refuse(`saveModel takes a Module, then the path; given ${describe(model)}`);
  const architecture = JSON.stringify(alone(model));
  await saveSafetensors(model, path, { [ARCHITECTURE_KEY]: architecture });
}

/** The bytes of the file that {@link saveModel} writes, of the model at the moment of the call. */
export async function modelFile(model: Module): Promise<Uint8Array> {
  const metadata = { [ARCHITECTURE_KEY]: JSON.stringify(alone(model)) };
  return await native.serializeSafetensors(entriesOf(await model.stateDict()), metadata);
}

/** Builds the model that {@link saveModel} wrote, in evaluation mode. Throws `IO` or `INVALID_FILE` with the reason. */
export async function loadModel(path: string): Promise<Module> {
  const { tensors, metadata } = await readFile(path);
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

/** The architecture of a model that is saved by itself: a constant that a container around it has set is written down, but for 1. */
function alone(model: Module): Architecture {
  const kCoefLip = model instanceof LipschitzModule ? (model.foreignShare() ?? 1) : 1;
  return kCoefLip === 1 ? model.toJSON() : { ...model.toJSON(), kCoefLip };
}

async function readFile(path: string): Promise<{ tensors: Record<string, Value>; metadata: Record<string, string> }> {
  checkPath(path);
  const { entries, metadata } = await inTurn(path, () => native.loadSafetensors(path));
  for (const { name, dtype, data } of entries) {
    const wrong = dtype === "bool" ? data.find((byte) => byte > 1) : undefined;
    if (wrong === undefined) continue;
    throw new TslipError(
      "INVALID_FILE",
      `tensor "${name}" of ${path} is BOOL and has the byte ${wrong}; expected 0 and 1`,
    );
  }
  const named = entries.map((e): [string, Value] => [e.name, new Value(fromBytes(e.dtype, e.data), e.shape, e.dtype)]);
  return { tensors: Object.fromEntries(named), metadata };
}

/** The last work on each file that is under way. */
const last = new Map<string, Promise<unknown>>();

/** Does work on a file after all that was asked for before it. */
async function inTurn<T>(path: string, work: () => Promise<T>): Promise<T> {
  const own = (last.get(path) ?? Promise.resolve()).then(work, work);
  last.set(path, own);
  try {
    return await own;
  } finally {
    if (last.get(path) === own) last.delete(path);
  }
}

function checkPath(path: string): void {
  if (typeof path === "string" && path !== "") return;
  throw new TslipError("INVALID_ARGUMENT", `the path of a file is a text; given ${describe(path)}`);
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TslipError("INVALID_FILE", `the architecture in ${path} is not JSON`, { cause });
  }
}

function checkTensors(record: unknown): asserts record is Readonly<Record<string, Tensor>> {
  const takes = "saveSafetensors takes a Module or tensors by name, then the path";
  if (!isPlain(record)) refuse(`${takes}; given ${describe(record)}`);
  for (const [name, t] of Object.entries(record)) {
    checkText("the name of a tensor", name);
    if (name === METADATA_KEY)
      refuse(`a safetensors file keeps its metadata under "${name}"; give that tensor another name`);
    if (!(t instanceof Tensor)) refuse(`${takes}; "${clip(name, 40)}" is ${describe(t)}`);
  }
}

/** Texts by name, copied. */
function textsOf(metadata: unknown): Map<string, string> {
  if (!isPlain(metadata)) refuse(`metadata are texts by name, such as { author: "me" }; given ${describe(metadata)}`);
  const texts = new Map<string, string>();
  for (const [name, text] of Object.entries(metadata)) {
    const shown = clip(name, 40);
    if (typeof text !== "string") {
      refuse(`metadata are texts by name; "${shown}" is ${describe(text)}; make it one with String or JSON.stringify`);
    }
    checkText("a name of metadata", name);
    checkText(`metadata "${shown}"`, text);
    texts.set(name, text);
  }
  return texts;
}

/** Refuses half a surrogate pair, which would be written as another character. */
function checkText(what: string, text: string): void {
  if (!text.isWellFormed()) refuse(`${what} has half a surrogate pair; given ${describe(text)}; give whole characters`);
}

function refuse(problem: string): never {
  throw new TslipError("INVALID_ARGUMENT", problem);
}
