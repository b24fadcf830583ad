// The only file that knows the native addon: typed wrappers, one engine per Node environment, errors as TslipError.
import type * as Addon from "../addon.js";
import { isErrorCode, TslipError } from "./errors.js";
import { afterTurn, beforeExit, loadAddon, nextTurn } from "./node/index.js";
import { isPromise, unlessAborted } from "./promise.js";

const addon = loadAddon();

/** Element types. Booleans are bytes 0 and 1. */
export type DType = "f32" | "i32" | "u8" | "bool";

/** Shape and element type of a tensor. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** A value that survives JSON unchanged. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Attributes of an op. */
export type Attributes = { readonly [name: string]: Json };

/** One step of a plan, with the bytes of its inputs by index. */
export interface Step {
  plan: number;
  inputs: Uint8Array[];
}

/** A plan, how many times in a row it is run, and the bytes of its inputs by index: empty where the data set feeds one. */
export interface Stretch {
  plan: number;
  steps: number;
  inputs: Uint8Array[];
}

/** What one call of the engine is to do. */
export interface Job {
  /** One after another. */
  stretches: Stretch[];
  /** Each step takes the next `batch` entries of `order`. */
  dataset?: { id: number; order: Uint32Array; imageInput: number; targetInput: number };
  /** 0-d f32 states that are set to `values[step]` before each step. */
  tables: { state: number; values: Float32Array }[];
  /**
   * End after the first step that leaves this 0-d bool state true: states, outputs, scalars and `steps` are those of a job of so many
   * steps on every device. It is looked at after every `checkEvery` steps at least, a matter of cost alone.
   */
  until?: { state: number; checkEvery: number };
  /** States of which the result tells what versions of them the last step found. */
  versionsOf?: number[];
  /** Measure the time of each node. */
  profile?: boolean;
}

/** What a job gives back. */
export interface RunResult {
  /** Bytes of the outputs of the last step. */
  outputs: Uint8Array[];
  /** steps x (number of 0-d f32 outputs), row-major. */
  scalars: Float64Array;
  /** Steps that were run. */
  steps: number;
  /** Of each of `versionsOf` the version that the last step found: what `versions` of the engine counts. */
  versions: number[];
  /** Where time was measured, each stretch's plan in words with milliseconds. */
  profile: string;
}

/** Called at most 20 times a second with the scalars of the step just done. */
export type Progress = (step: number, total: number, scalars: Float64Array) => void;

/** A compiled graph of the engine. */
export interface Plan {
  readonly plan: number;
  readonly outputs: readonly TensorSpec[];
}

/** A named tensor of a safetensors file. */
export interface FileEntry {
  name: string;
  dtype: DType;
  shape: number[];
  data: Uint8Array;
}

/** A flag that stops a running job at its next step; the last committed step stays. */
export type CancelToken = Addon.CancelToken;

/** Turns an error of the addon, whose message is JSON, into a {@link TslipError}. */
export function translate(error: unknown): TslipError {
  if (error instanceof TslipError) return error;
  const text = error instanceof Error ? error.message : String(error);
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && "code" in parsed && isErrorCode(parsed.code)) {
      const message = "message" in parsed && typeof parsed.message === "string" ? parsed.message : text;
      const op = "op" in parsed && typeof parsed.op === "string" ? parsed.op : undefined;
      const shapes = "shapes" in parsed && isShapeList(parsed.shapes) ? parsed.shapes : undefined;
      return new TslipError(parsed.code, message, { op, shapes });
    }
  } catch (notJson) {
    if (!(notJson instanceof SyntaxError)) throw notJson;
  }
  return new TslipError("INTERNAL", `the native engine failed: ${text}`, { cause: error });
}

function isShapeList(value: unknown): value is number[][] {
  return Array.isArray(value) && value.every((s) => Array.isArray(s) && s.every((n) => typeof n === "number"));
}

function guarded<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw translate(error);
  }
}

function asDType(dtype: string): DType {
  if (dtype === "f32" || dtype === "i32" || dtype === "u8" || dtype === "bool") return dtype;
  throw new TslipError("INTERNAL", `the native engine named an unknown element type "${dtype}"`);
}

const asSpec = (spec: { shape: number[]; dtype: string }): TensorSpec => ({
  shape: spec.shape,
  dtype: asDType(spec.dtype),
});

const asNative = (spec: TensorSpec): { shape: number[]; dtype: string } => ({
  shape: [...spec.shape],
  dtype: spec.dtype,
});

/** Specs by op, attributes and operands: a traced loop asks the same again and again. */
const inferred = new Map<string, TensorSpec>();
const KEPT_SPECS = 4096;

/**
 * Shape and type of the result of `op` with attributes in JSON, or the error that says what is wrong with the operands. Stateless.
 */
export function inferShape(op: string, attributes: string, inputs: readonly TensorSpec[]): TensorSpec {
  let key = `${op} ${attributes}`;
  for (const { dtype, shape } of inputs) {
    key += `;${dtype}`;
    for (const extent of shape) key += ` ${extent}`;
  }
  const known = inferred.get(key);
  if (known !== undefined) return known;
  const spec = guarded(() => asSpec(addon.inferShape(op, attributes, inputs.map(asNative))));
  if (inferred.size >= KEPT_SPECS) inferred.clear();
  Object.freeze(spec.shape);
  inferred.set(key, spec);
  return spec;
}

/** Fields of a device's arithmetic that are errors of functions. */
export type MeasuredError =
  | "divisionUlps"
  | "sqrtUlps"
  | "expUlps"
  | "logUlps"
  | "tanhUlps"
  | "sigmoidUlps"
  | "atanhUlps"
  | "powUlps";

/** What bounds of rounding may count on in an op, as it declares beside its kernel. */
export type OpAccuracy =
  /** Nothing is rounded. */
  | { readonly kind: "exact" }
  /** Sums and products are the nearest floats, sums in one order. */
  | { readonly kind: "summed" }
  /** The same, and a function whose results on the CPU are off by at most so many units in the last place. */
  | { readonly kind: "function"; readonly measured: MeasuredError; readonly ulps: number }
  | { readonly kind: "unknown" };

/** How exact the kernels of an op are. */
export function opAccuracy(op: string, attributes: Attributes): OpAccuracy {
  const { kind, measured, ulps } = guarded(() => addon.opAccuracy(op, JSON.stringify(attributes)));
  if (kind === "exact" || kind === "summed") return { kind };
  if (kind !== "function" || measured === undefined || ulps === undefined) return { kind: "unknown" };
  return { kind, measured: measured as MeasuredError, ulps };
}

/** The engine of this Node environment: states, data sets, plans and runs. */
export class Engine {
  readonly #engine = guarded(() => new addon.Engine());
  #deferred: (() => void)[] = [];

  /**
   * Allocates a state and fills it with `data` (little-endian bytes of `dtype`), or with zeros; one that is `pending` has no value
   * before a step writes it, and steps that read it sooner are errors.
   */
  createState(spec: TensorSpec, data?: Uint8Array, pending = false): number {
    return guarded(() => this.#engine.createState(spec.dtype, [...spec.shape], data, pending));
  }

  freeState(id: number): void {
    guarded(() => this.#engine.freeState(id));
  }

  /** Numbers that grow whenever these states change: from 1 with their first value, 0 before. */
  versions(ids: readonly number[]): number[] {
    return guarded(() => this.#engine.stateVersions([...ids]));
  }

  /** Whether these states have these versions, and no job that is waiting or under way writes one of them. */
  statesStand(ids: readonly number[], versions: readonly number[]): boolean {
    return guarded(() => this.#engine.statesStand([...ids], [...versions]));
  }

  /** Copies images (u8 or f32) and their targets (i32 or f32) into the engine; `image` and `target` are of one sample. */
  createDataset(images: Uint8Array, image: TensorSpec, targets: Uint8Array, target: TensorSpec): number {
    const copied = ({ shape, dtype }: TensorSpec) => ({ shape: [...shape], dtype });
    return guarded(() => this.#engine.createDataset(images, copied(image), targets, copied(target)));
  }

  freeDataset(id: number): void {
    guarded(() => this.#engine.freeDataset(id));
  }

  /** Plans a graph given as JSON. */
  compile(graph: string): Plan {
    return guarded(() => {
      const { plan, outputs } = this.#engine.compile(graph);
      return { plan, outputs: outputs.map(asSpec) };
    });
  }

  /** For each output of a graph given as JSON whether its rows are shown to depend on their own sample of the batch alone. */
  separate(graph: string): boolean[] {
    return guarded(() => this.#engine.separate(graph));
  }

  /** Outputs of a graph in float64, by the plain definitions of its ops, on the caller's time: slow, for checks. */
  exact(graph: string, inputs: readonly Uint8Array[]): Float64Array[] {
    return guarded(() => this.#engine.exact(graph, [...inputs]));
  }

  freePlan(plan: number): void {
    guarded(() => this.#engine.freePlan(plan));
  }

  /** A description of a plan: stages, tasks, chunks, bytes, FLOPs. */
  explain(plan: number): string {
    return guarded(() => this.#engine.explain(plan));
  }

  /** Floating-point operations of a step of a plan by op; parameter-only values (effective weights) are left out. */
  flops(plan: number): Readonly<Record<string, number>> {
    return guarded(() => this.#engine.flops(plan));
  }

  /** Bytes that a plan takes on its GPU, without the data set that feeds it. Throws `INVALID_ARGUMENT` for one of the CPU. */
  footprint(plan: number): Readonly<Addon.Footprint> {
    return guarded(() => this.#engine.footprint(plan));
  }

  /**
   * Calls back when the event loop has turned, or before the next job is taken if that comes first: the order of jobs stays. What is
   * called must not throw: whoever hands over that job has nothing to do with it.
   */
  defer(call: () => void): void {
    this.#deferred.push(call);
    if (this.#deferred.length === 1) nextTurn().then(() => this.#callDeferred());
  }

  #callDeferred(): void {
    const calls = this.#deferred;
    this.#deferred = [];
    for (const call of calls) call();
  }

  /**
   * Queues a job; jobs take turns, a step of each. Inputs are copied before this returns. Where nothing else is under way a
   * job of some tens of microseconds is done at once: to hand it over would take longer.
   */
  run(job: Job, token?: CancelToken, onProgress?: Progress): RunResult | Promise<RunResult> {
    if (this.#deferred.length > 0) this.#callDeferred();
    const result = guarded(() => this.#engine.run({ ...job, here: mayWorkHere() }, token, onProgress));
    if (!isPromise(result)) return result;
    return promised(() => result);
  }

  /** Runs one step of a plan after a step of each job queued before it, on the caller's time; the bytes of its outputs. */
  step({ plan, inputs }: Step): Uint8Array[] {
    if (this.#deferred.length > 0) this.#callDeferred();
    return guarded(() => this.#engine.step(plan, inputs));
  }

  /** Cancels all jobs and waits until nothing is under way, on a GPU neither. */
  stop(): void {
    guarded(() => this.#engine.stop());
  }
}

/** For so many milliseconds between two turns of the event loop small jobs may be done on its thread. */
const WORK_PER_TURN = 4;
let turnBegan: number | undefined;

/** Whether the event loop has turned lately: calls that settle at once would keep timers and sockets waiting for ever. */
function mayWorkHere(): boolean {
  if (turnBegan !== undefined) return performance.now() - turnBegan < WORK_PER_TURN;
  turnBegan = performance.now();
  afterTurn(() => {
    turnBegan = undefined;
  });
  return true;
}

let shared: Engine | undefined;

/** The engine of this Node environment, made when first asked for. */
export function engine(): Engine {
  if (shared === undefined) {
    const made = new Engine();
    shared = made;
    // Drivers of GPUs take themselves down when a process exits, and crash if they are used while they do.
    beforeExit(() => made.stop());
  }
  return shared;
}

/** A reason to end that is no failure: a job of which all steps were made by then has its result. */
export const STOPPED = Symbol("stopped");

/**
 * Runs a job in one native call that a signal can end, or whoever listens to its progress: the promise rejects with the signal's
 * reason, or with what `onProgress` throws or rejects with, within one step; the last whole step stays. It waits for promises that
 * `onProgress` answers with.
 */
export function runCancellable(
  job: Job,
  signal: AbortSignal | undefined,
  onProgress: Progress | undefined,
): Promise<RunResult> {
  return cancellable(signal, onProgress, (token, report) => engine().run(job, token, report));
}

/** The result of a native call that is given a token to end it and who is to be told of its progress, under the same terms. */
async function cancellable<T, P extends readonly unknown[]>(
  signal: AbortSignal | undefined,
  onProgress: ((...progress: P) => void) | undefined,
  call: (token: CancelToken, report: ((...progress: P) => void) | undefined) => T | Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const token = guarded(() => new addon.CancelToken());
  let ended: { readonly reason: unknown } | undefined;
  const end = (reason: unknown): void => {
    ended ??= { reason };
    token.cancel();
  };
  const abort = (): void => end(signal?.reason);
  const answers = new Set<Promise<unknown>>();
  // The addon calls from outside of any promise: an error that left here would end the process.
  const report = (...progress: P): void => {
    try {
      // A type that returns nothing lets an async function through.
      const told: unknown = onProgress?.(...progress);
      if (!isPromise(told)) return;
      const answer: Promise<unknown> = Promise.resolve(told)
        .catch(end)
        .finally(() => answers.delete(answer));
      answers.add(answer);
    } catch (error) {
      end(error);
    }
  };
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const result = await call(token, onProgress && report);
    // Where a signal ends the wait, `abort` keeps its reason.
    if (ended === undefined) await unlessAborted(Promise.all(answers), signal).catch(() => undefined);
    if (ended === undefined || ended.reason === STOPPED) return result;
  } catch (error) {
    if (ended === undefined) throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  throw ended.reason;
}

/** What takes the engine a while: done on the caller's time, or on a thread of Node's pool. */
export interface Work<T> {
  now(): T;
  later(): Promise<T>;
}

/** {@link promised}, kept until reports that another thread sent before its end have come to this one. */
async function heard<T>(call: () => Promise<T>): Promise<T> {
  const result = await promised(call);
  await nextTurn();
  return result;
}

/** A promise of the addon, with its errors translated. */
async function promised<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw translate(error);
  }
}

/** A proved upper bound (float64, outward rounded) of the spectral norm of an f32 matrix [rows, cols]. */
export function spectralNormUpperBound(weight: Uint8Array, rows: number, cols: number): Work<number> {
  return {
    now: () => guarded(() => addon.spectralNormUpperBound(weight, rows, cols)),
    later: () => promised(() => addon.proveSpectralNormUpperBound(weight, rows, cols)),
  };
}

/**
 * The singular values of an f32 matrix [rows, cols], descending, or the first and the last alone, found in float64 on a thread of Node's
 * pool: no proof.
 */
export function singularValues(
  weight: Uint8Array,
  [rows, cols]: readonly [number, number],
  { extremes = false } = {},
): Promise<Float64Array> {
  return promised(() => addon.singularValues(weight, rows, cols, extremes));
}

/** A proved upper bound of the L2 Lipschitz constant of a convolution with OIHW f32 weights. */
export function conv2dLipschitzUpperBound(
  weight: Uint8Array,
  shape: readonly number[],
  options: Attributes,
): Work<number> {
  const text = JSON.stringify(options);
  return {
    now: () => guarded(() => addon.conv2dLipschitzUpperBound(weight, [...shape], text)),
    later: () => promised(() => addon.proveConv2dLipschitzUpperBound(weight, [...shape], text)),
  };
}

/** A proved upper bound of the norm of a convolution with OIHW f32 weights, and of the same with a part of its taps and channels. */
export function conv2dGainUpperBound(weight: Uint8Array, shape: readonly number[], options: Attributes): Work<number> {
  const text = JSON.stringify(options);
  return {
    now: () => guarded(() => addon.conv2dGainUpperBound(weight, [...shape], text)),
    later: () => promised(() => addon.proveConv2dGainUpperBound(weight, [...shape], text)),
  };
}

/** What is known of a layer; see `RoundedLayer` in crates/certify. What is left out is not needed for a Lipschitz bound. */
export type NetworkLayer = {
  readonly lipschitz: number;
  readonly gain?: number;
  readonly roundings?: number;
  readonly offset?: number;
  readonly peak?: number;
  readonly copies?: number;
  readonly lost?: number;
  readonly results?: number;
};

/** One value of a network and the earlier values it is computed from, by their numbers: the input is number 0. */
export type NetworkStep =
  | { readonly kind: "layer"; readonly from: number; readonly layer: NetworkLayer }
  | { readonly kind: "sum" | "concat"; readonly from: readonly number[] };

/** A proved upper bound of the Lipschitz constant of a network, from those of its layers; 1 without steps. */
export function networkLipschitzUpperBound(steps: readonly NetworkStep[]): number {
  return guarded(() => addon.networkLipschitzUpperBound(JSON.stringify(steps)));
}

/** The scalar that makes the convolution by an orthogonal kernel matrix 1-Lipschitz. */
export function convolutionFactor(options: Attributes): number {
  return guarded(() => addon.convolutionFactor(JSON.stringify(options)));
}

/** Radii of logits [n, classes] by formula, for a kind of head and a Lipschitz constant. */
export function certificateRadius(
  options: Attributes,
  logits: Float64Array,
  classes: number,
  head?: Float64Array,
  features?: number,
): { predicted: Int32Array; runnerUp: Int32Array; margin: Float64Array; radius: Float64Array } {
  return guarded(() => addon.certificateRadius(JSON.stringify(options), logits, classes, head, features));
}

/**
 * Proved upper bounds of the distances of the rows of an f32 matrix [rows, cols], and of the origin after them, from one another:
 * [rows + 1, rows + 1].
 */
export function rowDistancesUpper(weight: Uint8Array, rows: number, cols: number): Work<Float64Array> {
  return {
    now: () => guarded(() => addon.rowDistancesUpper(weight, rows, cols)),
    later: () => promised(() => addon.proveRowDistancesUpper(weight, rows, cols)),
  };
}

/** What is known of a network whose logits are certified. */
export interface NetworkFacts {
  /** Proved upper bound of the Lipschitz constant of the whole. */
  readonly lipschitz: number;
  /** The network, a value a step. */
  readonly steps: readonly NetworkStep[];
  /** Numbers of a sample. */
  readonly inputs: number;
  /** Roundings of u8 pixels divided by 255. */
  readonly pixelRoundings: number;
}

/** What the layers of a network compute of a sample, for local certificates; see `Piece` in crates/certify. */
export interface NetworkPieces {
  /** Of each step, where it is a layer that says so. */
  readonly pieces: readonly (readonly Attributes[] | null)[];
  /** Numbers of a sample in the input and the value of each step. */
  readonly sizes: readonly number[];
  /** Bytes of the f32 values that pieces refer to by their places. */
  readonly numbers: readonly Uint8Array[];
}

/**
 * What is proved of outputs of a network, `[n, width]`, given the sums of squares of the images and of the value of each step, [n, steps + 1].
 */
export interface NetworkBounds {
  /**
   * Of logits: rows of predicted class, runner-up (-1 where there is one class), margin, radius, and 0 where that is generic, 1 disjoint, 2
   * pairwise.
   */
  certificates(logits: Float64Array, classes: number, squares: Float64Array, head: string): number[];
  /** A bound of the Lipschitz constant of each output by itself. */
  outputLipschitz(width: number): Float64Array;
  /** Radii within which outputs keep their signs. */
  signRadii(outputs: Float64Array, width: number, squares: Float64Array): Float64Array;
  /** The least and the largest number that each output can be within a radius, `[n, width, 2]`. */
  outputIntervals(outputs: Float64Array, width: number, squares: Float64Array, radius: number): Float64Array;
  /** At least how far each logit can be above the largest other one within a radius, `[n, classes]`. */
  leads(logits: Float64Array, classes: number, squares: Float64Array, radius: number): Float64Array;
  /** Radii of at least those of the samples, by so many tries to prove one around each; nothing without pieces. */
  readonly local: ((samples: LocalSamples, tries: number) => Interruptible<Float64Array>) | undefined;
}

/** Samples around which radii are looked for. */
export interface LocalSamples {
  /** [n, inputs] */
  readonly inputs: Float64Array;
  /** [n, classes] */
  readonly logits: Float64Array;
  /** [n, steps + 1] */
  readonly squares: Float64Array;
  /** [n] */
  readonly radii: Float64Array;
}

/** Work on a thread of Node's pool that can be told to end soon, with what it has found. */
export interface Interruptible<T> {
  readonly result: Promise<T>;
  interrupt(): void;
}

/** The bounds of a network; `distances` are those of the rows of a linear last layer and the origin. */
export function networkBounds(
  facts: NetworkFacts,
  distances: Float64Array | undefined,
  piecewise?: NetworkPieces,
): NetworkBounds {
  const { numbers, ...pieces } = piecewise ?? { numbers: [] };
  const text = piecewise && JSON.stringify(pieces);
  const bounds = guarded(() => new addon.NetworkBounds(JSON.stringify(facts), distances, text, [...numbers]));
  const local = ({ inputs, logits, squares, radii }: LocalSamples, tries: number) => {
    const interrupt = new addon.Interrupt();
    return {
      result: promised(() => bounds.localRadii(inputs, logits, squares, radii, tries, interrupt)),
      interrupt: () => interrupt.raise(),
    };
  };
  return {
    certificates: (...given) => guarded(() => bounds.certificates(...given)),
    outputLipschitz: (width) => guarded(() => bounds.outputLipschitz(width)),
    signRadii: (...given) => guarded(() => bounds.signRadii(...given)),
    outputIntervals: (...given) => guarded(() => bounds.outputIntervals(...given)),
    leads: (...given) => guarded(() => bounds.leads(...given)),
    local: piecewise && local,
  };
}

/** Writes a safetensors file under a temporary name, then renames it; nobody may write to the data meanwhile. */
export function saveSafetensors(path: string, entries: FileEntry[], metadata: Record<string, string>): Promise<void> {
  return promised(() => addon.saveSafetensors(path, entries, metadata));
}

/** The bytes of the file that {@link saveSafetensors} writes; nobody may write to the data meanwhile. */
export function serializeSafetensors(entries: FileEntry[], metadata: Record<string, string>): Promise<Uint8Array> {
  return promised(() => addon.serializeSafetensors(entries, metadata));
}

/** The bytes of a file, or its path. */
export type FileSource = string | Uint8Array;

/** Inputs `[n, ...shape]`, or the path of the safetensors file that has them as its only tensor. */
export type InputSource =
  | string
  | { readonly dtype: DType; readonly shape: readonly number[]; readonly data: Uint8Array };

/** What is claimed of each input. */
export interface Claims {
  readonly predicted: readonly number[];
  readonly radius: readonly number[];
  readonly kind: readonly string[];
}

/** Who may end work, and who is told which part of it is done, from 0 to 1. */
export interface Watched {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((part: number) => void) | undefined;
}

const copiedInputs = (inputs: InputSource) =>
  typeof inputs === "string" ? inputs : { ...inputs, shape: [...inputs.shape] };

/**
 * Canonical JSON of claims about inputs of a model, each of which is proved anew by the verifier, on a thread of Node's pool, and its
 * SHA-256. Rejects with `INVALID_ARGUMENT`, `INVALID_FILE` or `UNSUPPORTED` and what would be found of them.
 */
export function certificateText(
  model: FileSource,
  inputs: InputSource,
  { predicted, radius, kind }: Claims,
  { signal, onProgress }: Watched,
): Promise<{ text: string; sha256: string }> {
  const claims = { predicted: [...predicted], radius: [...radius], kind: [...kind] };
  return cancellable(signal, onProgress, (token, report) =>
    heard(() => addon.certificateText(model, copiedInputs(inputs), claims, token, report)),
  );
}

/** What the verifier, on a thread of Node's pool, finds of a certificate file: JSON. `signer` is the key that must have signed it. */
export function verifyCertificates(
  file: FileSource,
  model: FileSource,
  inputs: InputSource,
  signer: string | undefined,
  { signal, onProgress }: Watched,
): Promise<string> {
  return cancellable(signal, onProgress, (token, report) =>
    heard(() => addon.verifyCertificates(file, model, copiedInputs(inputs), signer, token, report)),
  );
}

/** Reads a safetensors file; rejects with `INVALID_FILE` or `IO` and the reason. */
export async function loadSafetensors(
  path: string,
): Promise<{ entries: FileEntry[]; metadata: Record<string, string> }> {
  const { entries, metadata } = await promised(() => addon.loadSafetensors(path));
  return { entries: entries.map((e) => ({ ...e, dtype: asDType(e.dtype) })), metadata };
}

/** PNG bytes of an SVG document, drawn on white with the given font files. */
export function rasterizeSvg(
  svg: string,
  options: { zoom: number; fonts: readonly Uint8Array[]; family: string; systemFonts: boolean },
): Promise<Uint8Array> {
  const { zoom, fonts, family, systemFonts } = options;
  return promised(() => addon.rasterizeSvg(svg, zoom, [...fonts], family, systemFonts));
}

/** Version of the native engine. */
export function version(): string {
  return guarded(() => addon.version());
}

/** What the engine found to compute with. */
export interface Machine {
  /** Workers of the thread pool: the processors, or `TSLIP_THREADS`. */
  readonly threads: number;
  /** Instructions in use: "portable", "avx2" or "avx512". */
  readonly simd: string;
}

/** Threads and instructions of the engine. */
export function machine(): Machine {
  return guarded(() => addon.machine());
}

/** Measured FLOP/s of multiply-adds on registers with all threads, a multiply-add counted as two. Takes about 0.1 s. */
export function multiplyAddPeak(): number {
  return guarded(() => addon.multiplyAddPeak());
}

/** A GPU of this machine. */
export interface Gpu {
  readonly name: string;
  readonly backend: string;
  readonly driver: string;
  readonly kind: string;
  /** Bytes of the largest array that a kernel can reach, in which all tensors of an engine lie. */
  readonly memory: number;
  readonly limits: Addon.GpuLimits;
  /** Whether kernels can be timed. */
  readonly timestamps: boolean;
  readonly arithmetic: Arithmetic | undefined;
  readonly error: string | undefined;
}

/** What a self-test has found of a device's arithmetic. */
export interface Arithmetic {
  /** Whether sums, differences and products are the nearest floats, as bounds of rounding assume. */
  readonly exact: boolean;
  /** Whether sums are formed in the order in which they are written, each product by itself or fused with its sum. */
  readonly ordered: boolean;
  /**
   * Whether what rounding takes off a sum or product can be computed. A compiler that simplifies as with real numbers makes it
   * 0; bounds of rounding do not rest on it.
   */
  readonly residuals: boolean;
  /** Whether a fused multiply-add rounds once. */
  readonly fused: boolean;
  /** Largest error of a quotient, in units in the last place. */
  readonly divisionUlps: number;
  /** Largest error of a square root, in units in the last place. */
  readonly sqrtUlps: number;
  /** The same for functions. */
  readonly expUlps: number;
  readonly logUlps: number;
  readonly tanhUlps: number;
  readonly sigmoidUlps: number;
  readonly atanhUlps: number;
  readonly powUlps: number;
  /** Whether subnormal numbers are kept; else they count as zero. */
  readonly subnormals: boolean;
  /** Whether NaN and infinity are told from numbers: in sums, comparisons, relu and maxima. */
  readonly nan: boolean;
}

/** The GPUs of this machine by their numbers; each is opened and tested if `test`. */
export function gpus(test: boolean): Gpu[] {
  return guarded(() =>
    addon.gpus(test).map(({ name, backend, driver, kind, memory, limits, timestamps, arithmetic, error }) => ({
      name,
      backend,
      driver,
      kind,
      memory,
      limits,
      timestamps,
      arithmetic,
      error,
    })),
  );
}

/**
 * Throws `UNKNOWN_DEVICE` where there is no such GPU, `UNSUPPORTED` where it cannot do what kernels need. It is not opened: that is
 * left to the first job.
 */
export function checkGpu(index: number): void {
  guarded(() => addon.checkGpu(index));
}

/** How a GPU computes; it is opened, on another thread, if it is not. Rejects with what opening throws. */
export function gpuArithmetic(index: number): Promise<Arithmetic> {
  return promised(() => addon.gpuArithmetic(index));
}

/** What has been asked of a GPU since it was opened. */
export type GpuCounters = Addon.GpuCounters;

/** Counters of a GPU, which is opened if it is not. */
export function gpuCounters(index: number): GpuCounters {
  return guarded(() => addon.gpuCounters(index));
}

/** What a GPU does at best: `flops` and `bytesPerSecond`. */
export type GpuPeak = Addon.GpuPeak;

/**
 * Measured FLOP/s of f32 multiply-adds on registers (one counted as two) and bytes a second that a copy of a large array reads
 * and writes. Takes about half a second; the GPU is opened if it is not.
 */
export function gpuPeak(index: number): GpuPeak {
  return guarded(() => addon.gpuPeak(index));
}

/** Takes a GPU away as a driver that resets does: for tests of what follows. */
export function loseGpu(index: number): void {
  guarded(() => addon.loseGpu(index));
}
