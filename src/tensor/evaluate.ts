// Runs graphs: from tensors to the JSON of the engine, plans kept by structure, values in and out.
import { engine, type Job, type Step } from "../native.js";
import { quiet } from "../promise.js";
import { bytesOf, fromBytes, type TypedArray } from "./dtype.js";
import { fillAll, fillAllInTurn, type Graph, graphOf } from "./graph.js";
import type { Tensor } from "./tensor.js";

const KEPT_PLANS = 64;
/** Plans by the text of their graphs. */
const plans = new Map<string, Kept>();

interface Kept {
  readonly json: string;
  readonly plan: number;
  /** Ids of all states that the plan reads or assigns. */
  readonly states: ReadonlySet<number>;
  /** Grows from use to use. */
  used: number;
}

/** The plan used last. To compare a text that was just written with its own takes less time than to look it up. */
let latest: Kept | undefined;
let uses = 0;

/** The plan of a graph, compiled when it is not among the last {@link KEPT_PLANS} used. */
export function planOf(graph: Graph): number {
  // Their first values may have been lost since.
  fillAll(graph.states);
  return kept(graph).plan;
}

function kept(graph: Graph): Kept {
  const entry = latest?.json === graph.json ? latest : (plans.get(graph.json) ?? compiled(graph));
  entry.used = ++uses;
  latest = entry;
  return entry;
}

function compiled({ json, states }: Graph): Kept {
  const { plan } = engine().compile(json);
  const entry = { json, plan, states: new Set(states.map(({ id }) => id)), used: uses };
  plans.set(json, entry);
  if (plans.size > KEPT_PLANS) drop([...plans.values()].reduce((one, other) => (other.used < one.used ? other : one)));
  return entry;
}

/** Frees a state that nothing can name any more, and the plans that would keep its memory. */
export function freeState(id: number): void {
  for (const entry of plans.values()) if (entry.states.has(id)) drop(entry);
  engine().freeState(id);
}

function drop(entry: Kept): void {
  if (entry === latest) latest = undefined;
  plans.delete(entry.json);
  engine().freePlan(entry.plan);
}

/** One step of a graph; its constants follow the inputs that it declares. */
export function stepOf(graph: Graph, inputs: readonly Uint8Array[] = []): Step {
  return { plan: planOf(graph), inputs: inputsOf(graph, inputs) };
}

/** {@link stepOf} as a job. */
export function jobOf(graph: Graph, inputs: readonly Uint8Array[] = []): Job {
  return { stretches: [{ plan: planOf(graph), steps: 1, inputs: inputsOf(graph, inputs) }], tables: [] };
}

/** Bytes of a graph's inputs: the declared ones as given, then its constants. */
export function inputsOf({ constants }: Graph, declared: readonly Uint8Array[]): Uint8Array[] {
  return [...declared, ...constants.map((c) => bytesOf(c.held()))];
}

/** Runs one step of a graph whose like will not come again; its plan is not kept. */
export function runOnce(graph: Graph): void {
  const { plan } = engine().compile(graph.json);
  try {
    engine().step({ plan, inputs: inputsOf(graph, []) });
  } finally {
    engine().freePlan(plan);
  }
}

/** {@link runOnce} in the order of jobs. */
export async function runOnceInTurn(graph: Graph): Promise<void> {
  const { plan } = engine().compile(graph.json);
  const job = { stretches: [{ plan, steps: 1, inputs: inputsOf(graph, []) }], tables: [] };
  try {
    await engine().run(job);
  } finally {
    engine().freePlan(plan);
  }
}

/** Values of outputs as the engine gave them. */
export function valuesOf(outputs: readonly Tensor[], bytes: readonly Uint8Array[]): TypedArray[] {
  return outputs.map((t, i) => fromBytes(t.dtype, bytes[i] ?? new Uint8Array(0)));
}

/** Computes one tensor. */
export async function evaluate(tensor: Tensor): Promise<TypedArray> {
  // Nobody waits for steps that are under way.
  const graph = graphOf([tensor], { fill: fillAllInTurn });
  const filled = quiet(graph.filling);
  const running = quiet(engine().run(jobOf(graph)));
  await filled;
  const { outputs } = await running;
  // The graph keeps its states alive until here.
  return first(valuesOf(graph.outputs, outputs));
}

/** Computes tensors on the caller's time. */
export function evaluateSync<const T extends readonly Tensor[]>(tensors: T): { [K in keyof T]: TypedArray } {
  return valuesOf(tensors, engine().step(stepOf(graphOf(tensors)))) as { [K in keyof T]: TypedArray };
}

function first(values: readonly TypedArray[]): TypedArray {
  return values[0] ?? new Uint8Array(0);
}
