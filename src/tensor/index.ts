// Tensors, states, gradients and compilation.
export { Tensor, Value, scalar, type Operand, type Axes, type PadMode } from "./tensor.js";
export { concat, stack, where } from "./composite.js";
export type { ConvolutionOptions, Geometry, Padding } from "./convolution.js";
export type { DType, TypedArray } from "./dtype.js";
export { arange, eye, full, type Nested, ones, orthogonal, rand, randn, tensor, type TensorData, zeros } from "./create.js";
export { manualSeed, type Seed, seedOf } from "./random.js";
export { assign, assignAll, Parameter, state, State, type StateOptions } from "./state.js";
export { grad, type Gradients } from "./grad.js";
export { compile, type Compiled, type InputSpec, Program, type Values } from "./compile.js";
export { observed } from "./trace.js";
export type { Pair, Shape } from "./shape.js";
