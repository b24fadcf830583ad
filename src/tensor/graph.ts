// The reachable graph of some tensors as the JSON the engine compiles.
import { type ChosenDevice, currentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import type { Attributes } from "../native.js";
import { bytesOf, type DType, sameBytes } from "./dtype.js";
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
  /** What filling them has answered. */
  readonly filling: Promise<void> | undefined;
}

/** Gives states their first values, at once or as the promise says. */
export type Fill = (states: readonly State[]) => Promise<void> | undefined;

/** What a graph has beside its outputs. */
export interface GraphParts {
  /** How many inputs were declared; constants come after them. */
  inputs?: number;
  assigns?: ReadonlyMap<State, Tensor>;
  /** Where it is to run; by default on the device that is current. */
  device?: ChosenDevice;
  /** States without a value yet, which read as what they start from. */
  starting?: ReadonlyMap<Tensor, Tensor>;
  /** For the states that it reads or assigns, each given once; by default {@link fillAll}. */
  fill?: Fill;
}

/**
 * Collects what `outputs` and assigned values depend on, in topological order; nothing recurses, so depth is no limit. The
 * first leaf marked batched says how long the batch is.
 */
export function graphOf(outputs: readonly Tensor[], parts: GraphParts = {}): Graph {
  const {
    inputs = 0,
    assigns = new Map<State, Tensor>(),
    starting = new Map<Tensor, Tensor>(),
    fill = fillAll,
  } = parts;
  let batch: number | null = null;
  // Joined by hand: `JSON.stringify` of all nodes takes as long as to record them.
  const nodes: string[] = [];
  const constants: Value[] = [];
  const index = new Map<Tensor, number>();
  const indexOf = (t: Tensor): number => {
    const at = index.get(t);
    if (at === undefined) throw new TslipError("INTERNAL", `the node ${t.op} was used before it was numbered`);
    return at;
  };
  const indicesOf = (tensors: readonly Tensor[]): string => {
    let text = "";
    for (const t of tensors) text += text === "" ? indexOf(t) : `,${indexOf(t)}`;
    return text;
  };
  const leaf = (op: string, attributes: string, { shape, dtype }: Tensor, batched: boolean): string =>
    `{"op":"${op}","attributes":${attributes},"shape":[${shape.join()}],"dtype":"${dtype}","batched":${batched}}`;
  const isBatched = (marked: boolean, shape: Shape): boolean => {
    if (marked) batch ??= shape[0] ?? null;
    return marked && shape[0] === batch;
  };
  const operandsOf = (tensor: Tensor): readonly Tensor[] => {
    const start = starting.get(tensor);
    return start === undefined ? tensor.inputs : [start];
  };
  const order = topological([...outputs, ...assigns.values()], operandsOf);
  // Only State makes nodes of op "state", only Value those of op "constant".
  const read = order.filter((tensor): tensor is State => tensor.op === "state" && !starting.has(tensor));
  const states = assigns.size === 0 ? read : [...new Set([...read, ...assigns.keys()])];
  // Of one moment, before any is asked for its number.
  const filling = fill(states);
  for (const tensor of order) {
    const start = starting.get(tensor);
    index.set(tensor, start === undefined ? nodes.length : indexOf(start));
    if (start !== undefined) continue;
    if (tensor.op === "constant") {
      nodes.push(leaf("input", `{"index":${inputs + constants.length}}`, tensor, false));
      constants.push(tensor as Value);
    } else if (tensor.op === "state") {
      const { id, batched } = tensor as State;
      nodes.push(leaf("state", `{"id":${id}}`, tensor, isBatched(batched, tensor.shape)));
    } else if (tensor.op === "input") {
      const { batched, ...attributes } = tensor.attributes;
      nodes.push(leaf("input", JSON.stringify(attributes), tensor, isBatched(batched === true, tensor.shape)));
    } else {
      nodes.push(`{"op":"${tensor.op}","attributes":${tensor.attributesJson},"inputs":[${indicesOf(tensor.inputs)}]}`);
    }
  }
  const assigned = Array.from(assigns, ([state, value]) => `{"state":${state.id},"value":${indexOf(value)}}`);
  const json =
    `{"nodes":[${nodes.join()}],"outputs":[${indicesOf(outputs)}],"assigns":[${assigned.join()}],"batch":${batch},` +
    `"device":"${parts.device ?? currentDevice()}"}`;
  return { json, outputs, constants, states, filling };
}

const isFilled = ({ filled }: State): boolean => filled;

/** Fills those of these states that are not filled yet, all at one moment. */
export function fillAll(states: readonly State[]): undefined {
  if (states.every(isFilled)) return;
  const open = states.filter((state) => !isFilled(state));
  open[0]?.fillWith(open);
}

/** {@link fillAll} in the order of jobs; nothing where all are filled. */
export function fillAllInTurn(states: readonly State[]): Promise<void> | undefined {
  return states[0]?.fillInTurnWith(states);
}

/**
 * Every tensor that `roots` depend on, operands before their users; `operandsOf` says what a tensor depends on directly, by
 * default its inputs.
 */
export function topological(
  roots: readonly Tensor[],
  operandsOf: (tensor: Tensor) => readonly Tensor[] = ({ inputs }) => inputs,
): Tensor[] {
  const order: Tensor[] = [];
  const seen = new Set<Tensor>();
  const stack: { tensor: Tensor; operands: readonly Tensor[]; next: number }[] = [];
  const visit = (tensor: Tensor): void => {
    if (seen.has(tensor)) return;
    seen.add(tensor);
    stack.push({ tensor, operands: operandsOf(tensor), next: 0 });
  };
  for (const root of roots) {
    visit(root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const operand = top.operands[top.next++];
      if (operand !== undefined) visit(operand);
      else {
        order.push(top.tensor);
        stack.pop();
      }
    }
  }
  return order;
}

/** A node of a recorded function. Operands stand before the nodes that use them. */
export interface GraphNode {
  /** Name of the op; `input`, `state` and `constant` are the leaves. */
  readonly op: string;
  readonly attributes: Attributes;
  /** Numbers of the nodes that are its operands. */
  readonly inputs: readonly number[];
  readonly shape: Shape;
  readonly dtype: DType;
  /** Of a leaf `input`, which argument of the function it is. */
  readonly argument: number | undefined;
  /** Of a leaf `state`, the state; a parameter is a `Parameter`. */
  readonly state: State | undefined;
  /** Of a leaf `constant`, its values. */
  readonly constant: Value | undefined;
}

/** A recorded function, for exporters and for looking at. */
export interface RecordedGraph {
  readonly nodes: readonly GraphNode[];
  /** Numbers of the nodes whose values the function returns, in the order of its results. */
  readonly outputs: readonly number[];
  /** What the states become at the end of a call. */
  readonly assigns: readonly { readonly state: State; readonly value: number }[];
}

/** What `outputs` and assigned values depend on, node by node. */
export function nodesOf(outputs: readonly Tensor[], assigns: ReadonlyMap<State, Tensor>): RecordedGraph {
  const order = topological([...outputs, ...assigns.values()]);
  const index = new Map(order.map((tensor, i) => [tensor, i]));
  const numberOf = (tensor: Tensor): number => index.get(tensor) ?? -1;
  const nodes = order.map((tensor): GraphNode => {
    const { op, shape, dtype } = tensor;
    const { batched: _, index: argument, ...attributes } = tensor.attributes;
    const input = op === "input";
    return {
      op,
      attributes: input ? {} : attributes,
      inputs: tensor.inputs.map(numberOf),
      shape,
      dtype,
      argument: input ? Number(argument) : undefined,
      // Only State makes nodes of op "state", only Value those of op "constant".
      state: op === "state" ? (tensor as State) : undefined,
      constant: op === "constant" ? (tensor as Value) : undefined,
    };
  });
  return {
    nodes,
    outputs: outputs.map(numberOf),
    assigns: Array.from(assigns, ([state, value]) => ({ state, value: numberOf(value) })),
  };
}

/** Attributes that say how long axis 0 is, in their first entry. */
const LENGTHS: Readonly<Record<string, string>> = {
  reshape: "shape",
  broadcast_to: "shape",
  full: "shape",
  slice: "stops",
};

/** Whether two recordings compute the same of each sample by the same ops and numbers, in batches of different lengths. */
export function sameButForBatch(one: RecordedGraph, two: RecordedGraph): boolean {
  return (
    one.nodes.length === two.nodes.length &&
    one.outputs.join() === two.outputs.join() &&
    one.nodes.every((node, i) => sameNode(node, two.nodes[i] as GraphNode)) &&
    // What is as long for any batch, though computed of what is not, depends on how long the batch is.
    one.nodes.every(({ inputs }, i) => !isAsLong(one, two, i) || inputs.every((input) => isAsLong(one, two, input)))
  );
}

/** Whether axis 0 of a node is as long in both recordings. */
function isAsLong(one: RecordedGraph, two: RecordedGraph, node: number): boolean {
  return one.nodes[node]?.shape[0] === two.nodes[node]?.shape[0];
}

function sameNode(one: GraphNode, two: GraphNode): boolean {
  const textOf = ({ op, attributes, inputs, dtype, shape, argument, state }: GraphNode): string => {
    const lengths = LENGTHS[op] ?? "";
    const { [lengths]: length, ...rest } = attributes;
    const others = Array.isArray(length) ? [length.length, ...length.slice(1)] : null;
    return JSON.stringify([op, rest, others, inputs, dtype, shape.length, shape.slice(1), argument, state?.id]);
  };
  if (textOf(one) !== textOf(two)) return false;
  if (one.constant === undefined || two.constant === undefined) return one.constant === two.constant;
  return sameBytes(bytesOf(one.constant.held()), bytesOf(two.constant.held()));
}
