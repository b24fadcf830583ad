// Activations, pooling and normalization: modules of one input x, with their parameters as further inputs.
import { LipResidual, Module, Parameter, type Tensor } from "tslip";
import type { Case } from "../case.js";
import type { Answer } from "../compare.js";
import { floats, input, throughModule } from "../compute.js";
import { argumentsOf, exportedClass, kindOf, notCovered } from "../options.js";

/** The 2022 pooling by its root of averages, whose epsilon only steers the gradient at zero, and the class that answers it. */
const OF_2022: Readonly<Record<string, string>> = { l2pool: "ScaledL2NormPool2d" };

/** A branch of a residual block whose result the file gives: its parameter, whatever goes in. */
class Branch extends Module {
  readonly y: Parameter;
  constructor(y: Tensor) {
    super();
    this.y = new Parameter(y);
  }
  forward(): Tensor {
    return this.y;
  }
}

async function residual(c: Case): Promise<Answer> {
  const block = new LipResidual(new Branch(floats(input(c, "y"))));
  block.alpha.assign(floats(input(c, "alpha")));
  const { outputs, grads = {} } = await throughModule(c, block);
  const named = Object.entries(grads).map(([name, value]) => [name === "branch.y" ? "y" : name, value] as const);
  return { outputs, grads: Object.fromEntries(named) };
}

export async function modules(c: Case): Promise<Answer> {
  const named = kindOf(c, "layer");
  const kind = OF_2022[named] ?? named;
  if (kind === "LipResidual") return await residual(c);
  const Layer = exportedClass<Module>(kind);
  // Batch layers go through several steps.
  if (Layer === undefined || c.inputs["x"] === undefined || c.inputs["y"] !== undefined) return notCovered(kind);
  const layer = new Layer(...argumentsOf(c.config, ["layer", "eps_grad_sqrt"]));
  const states = Object.entries(c.inputs).filter(([name]) => name !== "x" && name !== "cotangent");
  layer.loadStateDict(Object.fromEntries(states.map(([name, value]) => [name, floats(value)])));
  return await throughModule(c, layer);
}
