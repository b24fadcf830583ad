// Training of the shrunk network: losses, first gradients, last weights.
import { Adam, compile, grad, HKRMulticlassLoss, type Tensor } from "tslip";
import type { Case, Named } from "../case.js";
import type { Answer } from "../compare.js";
import { floats, input, integers, list, namedNumbers } from "../compute.js";
import { loadWeights, sizesOf, spectralNetwork, weightNames } from "../network.js";

export async function training(c: Case): Promise<Answer> {
  const { alpha, bjorck, lr, min_margin: minMargin } = c.config;
  const model = spectralNetwork(sizesOf(c), { bjorckIterations: Number(bjorck) });
  loadWeights(model, c, "parametrizations.weight.original");
  const loss = new HKRMulticlassLoss({ alpha: Number(alpha), minMargin: Number(minMargin), form: "additive" });
  const optimizer = new Adam({ lr: Number(lr) });
  const parameters = model.parameters();
  const step = compile((images: Tensor, labels: Tensor) => {
    const value = loss.forward(model.forward(images), labels);
    const gradients = grad(value, parameters);
    optimizer.update(parameters, gradients);
    return { value, gradients };
  });
  const [images, labels, names] = [floats(input(c, "x")), integers(input(c, "labels")), weightNames(model)];
  const losses: number[] = [];
  let grads: Named = {};
  for (let i = 0; i < (c.outputs["losses"]?.shape[0] ?? 0); i++) {
    const { value, gradients } = await step(images, labels);
    losses.push(value.item());
    if (i === 0) grads = await namedNumbers(names, gradients);
  }
  const exported = model.vanillaExport();
  const raw = names.map((name) => `final_raw.${name}`);
  const effective = weightNames(exported).map((name) => `final_effective.${name}`);
  return {
    outputs: {
      losses: list(losses),
      ...(await namedNumbers(raw, parameters)),
      ...(await namedNumbers(effective, exported.parameters())),
    },
    grads,
  };
}
