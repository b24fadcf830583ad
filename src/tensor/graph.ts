// The reachable graph of some tensors as the JSON the engine compiles.
import { currentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import type { Shape } from "./shape.js";
import type { State } from "./state.js";
import type { Tensor, Value } from "./tensor.js";

/** A graph ready to be compiled. Plans are keyed by `json`: constants are inputs, so equal structure means equal text. */
export interface Graph {
  readonly json: string;
  readonly outputs: readonly Tensor[];
  /** Constants, which follow the declared inputs. */
  readonly constants: readonly Value[];
  /** States read or assigned; holding them keeps them from being freed. */
  readonly states: readonly State[];
}

/** What a graph has beside its outputs. */
export interface GraphParts {
  /** How many inputs were declared; constants come after them. */
  inputs?: number;
  assigns?: ReadonlyMap<State, Tensor>;
}

interface Node {
  op: string;
  attributes: object;
  inputs: number[];
  shape?: readonly number[];
  dtype?: string;
  batched?: boolean;
}

/**
 * Collects what `outputs` and assigned values depend on, in topological order; nothing recurses, so depth is no limit. The
 * first leaf marked batched says how long the batch is.
 */
export function graphOf(outputs: readonly Tensor[], parts: GraphParts = {}): Graph {
  const { inputs = 0, assigns = new Map<State, Tensor>() } = parts;
  let batch: number | null = null;
  const nodes: Node[] = [];
  const constants: Value[] = [];
  const states = new Set<State>(assigns.keys());
  const index = new Map<Tensor, number>();
  const indexOf = (t: Tensor): number => {
    const at = index.get(t);
    if (at === undefined) throw new TslipError("INTERNAL", `the node ${t.op} was used before it was numbered`);
    return at;
  };
  const isBatched = (marked: boolean, shape: Shape): boolean => {
    if (marked) batch ??= shape[0] ?? null;
    return marked && shape[0] === batch;
  };
  for (const tensor of topological([...outputs, ...assigns.values()])) {
    index.set(tensor, nodes.length);
    const { shape, dtype } = tensor;
    if (tensor.op === "constant") {
      nodes.push({
        op: "input",
        attributes: { index: inputs + constants.length },
        inputs: [],
        shape,
        dtype,
        batched: false,
      });
      // Only Value makes nodes of op "constant", only State those of op "state".
      constants.push(tensor as Value);
    } else if (tensor.op === "state") {
      const state = tensor as State;
      states.add(state);
      nodes.push({
        op: "state",
        attributes: { id: state.id },
        inputs: [],
        shape,
        dtype,
        batched: isBatched(state.batched, shape),
      });
    } else if (tensor.op === "input") {
      const { batched, ...attributes } = tensor.attributes;
      nodes.push({ op: "input", attributes, inputs: [], shape, dtype, batched: isBatched(batched === true, shape) });
    } else {
      nodes.push({ op: tensor.op, attributes: tensor.attributes, inputs: tensor.inputs.map(indexOf) });
    }
  }
  const json = JSON.stringify({
    nodes,
    outputs: outputs.map(indexOf),
    assigns: Array.from(assigns, ([state, value]) => ({ state: state.id, value: indexOf(value) })),
    batch,
    device: currentDevice(),
  });
  return { json, outputs, constants, states: [...states] };
}

/** Every tensor that `roots` depend on, operands before their users. */
export function topological(roots: readonly Tensor[]): Tensor[] {
  const order: Tensor[] = [];
  const seen = new Set<Tensor>();
  const stack: { tensor: Tensor; next: number }[] = [];
  const visit = (tensor: Tensor): void => {
    if (seen.has(tensor)) return;
    seen.add(tensor);
    stack.push({ tensor, next: 0 });
  };
  for (const root of roots) {
    visit(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const operand = top.tensor.inputs[top.next++];
      if (operand !== undefined) visit(operand);
      else {
        order.push(top.tensor);
        stack.pop();
      }
    }
  }
  return order;
}
