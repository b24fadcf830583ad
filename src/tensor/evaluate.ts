// Runs graphs: from tensors to the JSON of the engine, plans kept by structure, values in and out.
import { engine, type Job, type Step } from "../native.js";
import { quiet } from "../promise.js";
import { bytesOf, fromBytes, type TypedArray } from "./dtype.js";
import { fillAll, fillAllInTurn, type Graph, graphOf, topological } from "./graph.js";
import type { State } from "./state.js";
import type { Tensor } from "./tensor.js";

const KEPT_PLANS = 64;
/** Plans by the text of their graphs, those used last at the end; `states` are the ids of all that a plan reads or assigns. */
const plans = new Map<string, Kept>();

interface Kept {
  readonly plan: number;
  readonly states: ReadonlySet<number>;
}

/** The text of the plan at the end. */
let latest = "";

/** The plan of a graph, compiled when it is not among the last {@link KEPT_PLANS} used. */
export function planOf(graph: Graph): number {
  // Their first values may have been lost since.
  fillAll(graph.states);
  return kept(graph).plan;
}

function kept({ json, states }: Graph): Kept {
  const known = plans.get(json);
  if (known !== undefined && json === latest) return known;
  const entry = known ?? { ...engine().compile(json), states: new Set(states.map(({ id }) => id)) };
  plans.delete(json);
  plans.set(json, entry);
  latest = json;
  const [oldest] = plans.keys();
  if (plans.size > KEPT_PLANS && oldest !== undefined) dropPlan(oldest);
  return entry;
}

/** Frees a state that nothing can name any more, and the plans that would keep its memory. */
export function freeState(id: number): void {
  for (const [json, { states }] of plans) if (states.has(id)) dropPlan(json);
  engine().freeState(id);
}

function dropPlan(json: string): void {
  const entry = plans.get(json);
  if (entry === undefined) return;
  plans.delete(json);
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
  const filled = quiet(fillAllInTurn(topological([tensor]).filter(({ op }) => op === "state") as State[]));
  const graph = graphOf([tensor]);
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
