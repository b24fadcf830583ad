// The shrunk reference network: its training, attacks on it, and files of it.
import { dirname, join } from "node:path";
import {
  Adam,
  Conv2d,
  compile,
  Flatten,
  GroupSort2,
  grad,
  HKRMulticlassLoss,
  L2CarliniWagnerAttack,
  Linear,
  loadSafetensors,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  scalar,
  type Tensor,
} from "tslip";
import type { Answer, Case, Named, Numbers } from "../case.js";
import { floats, integers, numbersOf, withGradients } from "../compute.js";

/** Names of the generator's layers and their places in the Sequential. */
const PLACES: Record<string, number> = { conv1: 0, conv2: 3, fc1: 7, fc2: 9 };

interface Sizes {
  channels: readonly [number, number];
  image: number;
  width: number;
  classes: number;
}

function spectral({ channels: [a, b], image, width, classes }: Sizes): Sequential {
  const same = { kernelSize: 3, padding: "same" } as const;
  return new Sequential([
    new SpectralConv2d(1, a, same),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new SpectralConv2d(a, b, same),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new Flatten(),
    new SpectralLinear(b * Math.floor(image / 4) ** 2, width),
    new GroupSort2(),
    new SpectralLinear(width, classes, { bias: false }),
  ]);
}

function ordinary({ channels: [a, b], image, width, classes }: Sizes, bias: boolean): Sequential {
  const same = { kernelSize: 3, padding: "same" } as const;
  const layers = [
    new Conv2d(1, a, same),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new Conv2d(a, b, same),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new Flatten(),
    new Linear(b * Math.floor(image / 4) ** 2, width),
    new GroupSort2(),
    new Linear(width, classes, { bias }),
  ];
  return new Sequential(layers, { constrained: false });
}

/** Sizes read off the weights of a case. */
function sizesOf(inputs: Named, image: number): Sizes {
  const rows = (name: string): number => inputs[`${name}.weight`]?.shape[0] ?? 0;
  return { channels: [rows("conv1"), rows("conv2")], image, width: rows("fc1"), classes: rows("fc2") };
}

/** Loads weights under the generator's names. */
function load(model: Sequential, inputs: Named, weightKey: string): void {
  const record: Record<string, Tensor> = {};
  for (const [name, numbers] of Object.entries(inputs)) {
    const [layer = "", part = ""] = name.split(".");
    const place = PLACES[layer];
    if (place !== undefined) record[`${place}.${part === "weight" ? weightKey : part}`] = floats(numbers);
  }
  model.loadStateDict(record);
}

export async function training(c: Case): Promise<Answer> {
  const { x, labels } = c.inputs;
  if (x === undefined || labels === undefined) return { skipped: "training" };
  const model = spectral(sizesOf(c.inputs, Number(c.config["image"])));
  load(model, c.inputs, "parametrizations.weight.original");
  const loss = new HKRMulticlassLoss({
    alpha: Number(c.config["alpha"]),
    minMargin: Number(c.config["min_margin"]),
    form: "additive",
  });
  const optimizer = new Adam({ lr: Number(c.config["lr"]) });
  const parameters = model.parameters();
  const step = compile((images: Tensor, target: Tensor) => {
    const value = loss.forward(model.forward(images), target);
    const gradients = grad(value, parameters);
    optimizer.update(parameters, gradients);
    return { value, gradients };
  });
  const losses: number[] = [];
  const grads: Record<string, Numbers> = {};
  const named = namesOf(model);
  for (let i = 0; i < (c.outputs["losses"]?.data.length ?? 10); i++) {
    const { value, gradients } = await step(floats(x), integers(labels));
    losses.push(value.item());
    if (i > 0) continue;
    for (const [k, name] of named.entries()) grads[name] = await numbersOf(gradients[k] as Tensor);
  }
  const outputs: Record<string, Numbers> = { losses: { shape: [losses.length], data: Float64Array.from(losses) } };
  for (const [k, name] of named.entries()) outputs[`final_raw.${name}`] = await numbersOf(parameters[k] as Tensor);
  const exported = model.vanillaExport();
  const deployed = exported.parameters();
  for (const [k, name] of namesOf(exported).entries()) {
    outputs[`final_effective.${name}`] = await numbersOf(deployed[k] as Tensor);
  }
  return { outputs, grads };
}

/** The generator's names of a model's parameters, in order. */
function namesOf(model: Sequential): string[] {
  return model.namedParameters().map(([key]) => {
    const [place = "", ...rest] = key.split(".");
    const layer = Object.entries(PLACES).find(([, at]) => String(at) === place)?.[0] ?? place;
    return `${layer}.${rest.at(-1) === "bias" ? "bias" : "weight"}`;
  });
}

/** Cases of attacks; weights are those of the network case they name. */
export async function attacks(c: Case, all: readonly Case[]): Promise<Answer> {
  const isNetwork = c.name.endsWith("_network");
  const network = isNetwork ? c : all.find(({ name }) => name === c.config["network"]);
  if (network === undefined) return { skipped: `${c.name}: its network is missing` };
  const model = ordinary(sizesOf(network.inputs, Number(network.config["image"])), true);
  load(model, network.inputs, "weight");
  const images = floats(network.inputs["x"] as Numbers);
  const labels = Int32Array.from((network.inputs["labels"] as Numbers).data);
  if (isNetwork) return { outputs: { logits: await numbersOf(await model.predict(images)) } };
  if (c.name.includes("cw_objective")) return await objective(c, model, images, labels);
  if (!c.name.includes("L2CarliniWagnerAttack")) return { skipped: c.name.split("_")[1] ?? c.name };
  const attack = new L2CarliniWagnerAttack({
    binarySearchSteps: Number(c.config["binary_search_steps"]),
    steps: Number(c.config["steps"]),
    stepsize: Number(c.config["stepsize"]),
    confidence: Number(c.config["confidence"]),
    initialConst: Number(c.config["initial_const"]),
    abortEarly: c.config["abort_early"] === true,
  });
  const [low = 0, high = 1] = c.config["bounds"] as number[];
  const { success, distances } = await attack.run(model, images, labels, { bounds: [low, high] });
  const shape = [labels.length];
  return {
    outputs: {
      success: { shape, data: Float64Array.from(success, Number) },
      distance: { shape, data: distances.map((d) => (Number.isFinite(d) ? d : Number.NaN)) },
    },
  };
}

/** The function that the attack minimizes, at a given perturbation. */
async function objective(c: Case, model: Sequential, images: Tensor, labels: Int32Array): Promise<Answer> {
  const { delta, const: weights } = c.inputs;
  if (delta === undefined || weights === undefined) return { skipped: "cw_objective" };
  const [n = 0] = images.shape;
  const truth = integers({ shape: [n], data: Float64Array.from(labels) });
  return await withGradients(
    { delta },
    (l) => {
      const before = images.sub(0.5).div(0.5).mul(Number(c.config["scale"])).atanh();
      const inModel = (w: Tensor): Tensor => w.tanh().mul(0.5).add(0.5);
      const moved = inModel(before.add(l["delta"] ?? before));
      const logits = model.forward(moved);
      const own = truth.oneHot(logits.shape[1] ?? 0);
      const other = own.greater(0).where(scalar(Number.NEGATIVE_INFINITY), logits).max(1);
      const lead = logits.mul(own).sum(1).sub(other).relu();
      return {
        loss: lead
          .mul(floats(weights))
          .sum()
          .add(moved.sub(inModel(before)).square().sum()),
      };
    },
    "loss",
  );
}

export async function interop(c: Case, _all: readonly Case[], file: string): Promise<Answer> {
  const { x } = c.inputs;
  const name = String(c.config["file"]);
  if (x === undefined || !name.endsWith(".safetensors")) return { skipped: name.split(".").at(-1) ?? name };
  const [a = 0, b = 0] = c.config["channels"] as number[];
  const sizes: Sizes = {
    channels: [a, b],
    image: Number(c.config["image"]),
    width: Number(c.config["width"]),
    classes: Number(c.config["classes"]),
  };
  const model = name.includes("parametrized") ? spectral(sizes) : ordinary(sizes, false);
  model.loadStateDict(await loadSafetensors(join(dirname(file), name)));
  const keys = Object.keys(await model.stateDict()).sort();
  const wanted = Array.from(c.config["keys"] as ArrayLike<string>).sort();
  const failure =
    keys.join() === wanted.join() ? {} : { failure: `keys are ${keys.join(", ")}; expected ${wanted.join(", ")}` };
  return { outputs: { y: await numbersOf(await model.predict(floats(x))) }, ...failure };
}
