// Runs graphs: from tensors to the JSON of the engine, plans kept by structure, values in and out.
import { engine, type Job, type Plan } from "../native.js";
import { bytesOf, fromBytes, type TypedArray } from "./dtype.js";
import { type Graph, graphOf } from "./graph.js";
import type { Tensor } from "./tensor.js";

const KEPT_PLANS = 64;
const plans = new Map<string, Plan>();

/** The plan of a graph, compiled when it is not among the last {@link KEPT_PLANS} used. */
export function planOf(json: string): Plan {
  const known = plans.get(json);
  const plan = known ?? engine().compile(json);
  plans.delete(json);
  plans.set(json, plan);
  if (plans.size > KEPT_PLANS) {
    const [oldest] = plans;
    if (oldest !== undefined) {
      plans.delete(oldest[0]);
      engine().freePlan(oldest[1].plan);
    }
  }
  return plan;
}

/** One step of a graph that has no inputs but its constants. */
export function jobOf(graph: Graph, inputs: readonly Uint8Array[] = []): Job {
  return {
    segments: [{ plan: planOf(graph.json).plan, steps: 1 }],
    inputs: [...inputs, ...graph.constants.map((c) => bytesOf(c.held()))],
    tables: [],
  };
}

/** Values of outputs as the engine gave them. */
export function valuesOf(outputs: readonly Tensor[], bytes: readonly Uint8Array[]): TypedArray[] {
  return outputs.map((t, i) => fromBytes(t.dtype, bytes[i] ?? new Uint8Array(0)));
}

/** Computes one tensor. */
export async function evaluate(tensor: Tensor): Promise<TypedArray> {
  const graph = graphOf([tensor]);
  const { outputs } = await engine().run(jobOf(graph));
  // The graph keeps its states alive until here.
  return first(valuesOf(graph.outputs, outputs));
}

/** Computes tensors on the caller's time. */
export function evaluateSync<const T extends readonly Tensor[]>(tensors: T): { [K in keyof T]: TypedArray } {
  const { outputs } = engine().runSync(jobOf(graphOf(tensors)));
  return valuesOf(tensors, outputs) as { [K in keyof T]: TypedArray };
}

function first(values: readonly TypedArray[]): TypedArray {
  return values[0] ?? new Uint8Array(0);
}
