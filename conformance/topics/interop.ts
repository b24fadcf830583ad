// Files written by torchlip: their keys and the outputs of the network they hold.
import { dirname, join } from "node:path";
import { loadSafetensors } from "tslip";
import type { Case } from "../case.js";
import type { Answer } from "../compare.js";
import { floats, input, numbersOf } from "../compute.js";
import { ordinaryNetwork, type Sizes, spectralNetwork } from "../network.js";

export async function interop(c: Case, _all: readonly Case[], file: string): Promise<Answer> {
  const name = String(c.config["file"]);
  if (!name.endsWith(".safetensors")) return { skipped: name.replace(/^.*\./, ".") };
  const [a = 0, b = 0] = c.config["channels"] as number[];
  const sizes: Sizes = {
    channels: [a, b],
    image: Number(c.config["image"]),
    width: Number(c.config["width"]),
    classes: Number(c.config["classes"]),
  };
  const wanted = Array.from(c.config["keys"] as ArrayLike<string>).sort();
  const parametrized = wanted.some((key) => key.includes("parametrizations"));
  const model = parametrized ? spectralNetwork(sizes) : ordinaryNetwork(sizes, false);
  model.loadStateDict(await loadSafetensors(join(dirname(file), name)));
  const keys = Object.keys(await model.stateDict()).sort();
  const same = keys.join() === wanted.join();
  return {
    outputs: { y: await numbersOf(await model.predict(floats(input(c, "x")))) },
    failures: same ? [] : [`the keys are ${keys.join(", ")}; wanted ${wanted.join(", ")}`],
  };
}
