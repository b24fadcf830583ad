// Activations, pooling and normalization: modules of one input x, with their parameters as further inputs.
import { BatchLipNorm, compile, grad, LipResidual, Module, Parameter, type ScaleBiasLayer, type Tensor } from "tslip";
import type { Case, Named } from "../case.js";
import type { Answer } from "../compare.js";
import { floats, input, namedNumbers, numbersOf, throughModule } from "../compute.js";
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
  const block = new LipResidual(new Branch(floats(input(c, "y"))), { constrained: false });
  block.alpha.assign(floats(input(c, "alpha")));
  const { outputs, grads = {} } = await throughModule(c, block);
  const named = Object.entries(grads).map(([name, value]) => [name === "branch.y" ? "y" : name, value] as const);
  return { outputs, grads: Object.fromEntries(named) };
}

/** A layer that keeps statistics of batches: steps of training, an evaluation, and the layer that it is exported as. */
async function batches(c: Case, layer: BatchLipNorm): Promise<Answer> {
  const outputs: Record<string, Named[string]> = {};
  const grads: Record<string, Named[string]> = {};
  const parameters = layer.namedParameters();
  for (const [name, parameter] of parameters) parameter.assign(floats(input(c, name)));
  const names = ["x", ...parameters.map(([name]) => name)];
  const run = compile((x: Tensor, cotangent: Tensor) => {
    const y = layer.forward(x);
    return { y, grads: grad(y.mul(cotangent).sum(), [x, ...parameters.map(([, parameter]) => parameter)]) };
  });
  const steps = Array.from({ length: Number(c.config["steps"]) }, (_, i) => String(i + 1));
  for (const step of [...steps, "_eval"]) {
    layer.train(step !== "_eval");
    const { y, grads: found } = await run(floats(input(c, `x${step}`)), floats(input(c, `cotangent${step}`)));
    outputs[`y${step}`] = await numbersOf(y);
    for (const [name, value] of Object.entries(await namedNumbers(names, found))) grads[`${name}${step}`] = value;
    for (const [name, value] of Object.entries(await layer.stateDict())) {
      if (!names.includes(name)) outputs[`state${step}_${name}`] = await numbersOf(value);
    }
  }
  const exported: ScaleBiasLayer = layer.vanillaExport();
  outputs["export_scalar"] = await numbersOf(exported.scalar);
  if (exported.bias !== undefined) outputs["export_bias"] = await numbersOf(exported.bias);
  return { outputs, grads };
}

export async function modules(c: Case): Promise<Answer> {
  const named = kindOf(c, "layer");
  const kind = OF_2022[named] ?? named;
  if (kind === "LipResidual") return await residual(c);
  const Layer = exportedClass<Module>(kind);
  if (Layer === undefined) return notCovered(kind);
  const layer = new Layer(...argumentsOf(c.config, ["layer", "eps_grad_sqrt", "steps"]));
  if (layer instanceof BatchLipNorm) return await batches(c, layer);
  if (c.inputs["x"] === undefined || c.inputs["y"] !== undefined) return notCovered(kind);
  const states = Object.entries(c.inputs).filter(([name]) => name !== "x" && name !== "cotangent");
  const given = Object.fromEntries(states.map(([name, value]) => [name, floats(value)]));
  layer.loadStateDict({ ...(await layer.stateDict()), ...given });
  return await throughModule(c, layer);
}
