// Tensors, states, gradients and compilation.

export { type Compiled, compile, type InputSpec, Program, readStates, type Values } from "./compile.js";
export { concat, stack, where } from "./composite.js";
export type { ConvolutionOptions, Geometry, Padding } from "./convolution.js";
export {
  arange,
  eye,
  full,
  type Nested,
  ones,
  orthogonal,
  rand,
  randn,
  type TensorData,
  tensor,
  zeros,
} from "./create.js";
export type { ArrayData, DType, TypedArray } from "./dtype.js";
export { type Draws, Generator } from "./generator.js";
export { type Gradients, grad } from "./grad.js";
export type { GraphNode, RecordedGraph } from "./graph.js";
export { manualSeed, type Seed, seedOf } from "./random.js";
export type { Pair, Shape } from "./shape.js";
export type { JsonNumber, TensorJson } from "./show.js";
export { assign, assignAll, Parameter, State, type StateOptions, state } from "./state.js";
export type { Stateful } from "./stateful.js";
export { type Axes, type Operand, type PadMode, scalar, Tensor, Value } from "./tensor.js";
export { observed } from "./trace.js";
