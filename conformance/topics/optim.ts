// Optimizers on given gradients, and schedules.
import { compile, type Optimizer, Parameter, type Schedule, type Tensor } from "tslip";
import type { Case, Named } from "../case.js";
import type { Answer } from "../compare.js";
import { floats, input, list, namedNumbers } from "../compute.js";
import { camelOptions, exportedClass, kindOf } from "../options.js";

export async function optim(c: Case): Promise<Answer> {
  return c.config["schedule"] === undefined ? await steps(c) : schedule(c);
}

/** Parameters are inputs p0, p1, …; their gradients at step t are g0_t, g1_t, …; outputs p0_t, p1_t, … */
async function steps(c: Case): Promise<Answer> {
  const kind = kindOf(c, "optimizer");
  const Kind = exportedClass<Optimizer>(kind);
  if (Kind === undefined) return { skipped: kind };
  const optimizer = new Kind(camelOptions(c.config, ["optimizer"]));
  const names = Object.keys(c.inputs).filter((name) => /^p\d+$/.test(name));
  const parameters = names.map((name) => new Parameter(floats(input(c, name)), { name }));
  const step = compile((...gradients: Tensor[]) => {
    optimizer.update(parameters, gradients);
    return {};
  });
  let outputs: Named = {};
  const last = Math.max(0, ...Object.keys(c.inputs).map((name) => Number(/^g\d+_(\d+)$/.exec(name)?.[1] ?? 0)));
  for (let t = 1; t <= last; t++) {
    await step(...names.map((name) => floats(input(c, `${name.replace("p", "g")}_${t}`))));
    const after = await namedNumbers(
      names.map((name) => `${name}_${t}`),
      parameters,
    );
    outputs = { ...outputs, ...after };
  }
  return { outputs };
}

function schedule(c: Case): Answer {
  const kind = kindOf(c, "schedule");
  const Kind = exportedClass<Schedule>(kind);
  if (Kind === undefined) return { skipped: kind };
  const [lr, momentum] = [Number(c.config["base_lr"]), Number(c.config["base_momentum"])];
  // OneCycleLR says itself where it begins.
  const base = kind === "OneCycleLR" ? {} : { lr };
  const made = new Kind({ ...base, ...camelOptions(c.config, ["schedule", "base_lr", "base_momentum"]) });
  const values = Array.from({ length: c.outputs["lr"]?.shape[0] ?? 0 }, (_, i) => made.at(i));
  // A schedule that leaves the momentum alone does not tell it.
  const momenta = values.map((value) => value.momentum ?? momentum);
  return { outputs: { lr: list(values.map((value) => value.lr)), momentum: list(momenta) } };
}
