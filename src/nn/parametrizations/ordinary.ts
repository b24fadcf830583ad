// No parametrization: the weight is the parameter, initialized as in PyTorch.
import { uniform } from "../../tensor/create.js";
import type { Shape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { Parametrization } from "./parametrization.js";

export const ordinary: Parametrization = {
  constrained: false,
  key: "weight",
  initialWeight: ({ weightShape, fanIn }) => initial(weightShape, fanIn),
  initialBias: ({ outputs, fanIn }) => initial([outputs], fanIn),
  effective: (parameter) => parameter,
  exchanged: () => [],
};

/** Uniform in ±1/sqrt(fan in), as PyTorch initializes. */
function initial(shape: Shape, fanIn: number): Tensor {
  return uniform(shape, 1 / Math.sqrt(Math.max(1, fanIn)));
}
