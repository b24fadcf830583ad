// Optimizers on given gradients, and schedules.
import { Adam, AdamW, compile, type Optimizer, Parameter, type Schedule, SGD, type Tensor } from "tslip";
import type { Answer, Case, Numbers } from "../case.js";
import { floats, numbersOf } from "../compute.js";
import { camelOptions, exportedClass } from "../options.js";

const optimizers: Record<string, new (options: { lr: number }) => Optimizer> = { SGD, Adam, AdamW };

export async function optim(c: Case): Promise<Answer> {
  return c.config["schedule"] === undefined ? await steps(c) : schedule(c);
}

async function steps(c: Case): Promise<Answer> {
  const kind = String(c.config["optimizer"]);
  const Kind = optimizers[kind];
  if (Kind === undefined) return { skipped: kind };
  const optimizer = new Kind(camelOptions(c.config, ["optimizer"]) as { lr: number });
  const names = Object.keys(c.inputs).filter((name) => name.startsWith("p"));
  const parameters = names.map((name) => new Parameter(floats(c.inputs[name] as Numbers), { name }));
  const step = compile((...gradients: Tensor[]) => {
    optimizer.update(parameters, gradients);
    return {};
  });
  const outputs: Record<string, Numbers> = {};
  const count = Math.max(...Object.keys(c.inputs).map((name) => Number(/^g\d+_(\d+)$/.exec(name)?.[1] ?? 0)));
  for (let t = 1; t <= count; t++) {
    await step(...names.map((name) => floats(c.inputs[`${name.replace("p", "g")}_${t}`] as Numbers)));
    for (const [i, name] of names.entries()) outputs[`${name}_${t}`] = await numbersOf(parameters[i] as Tensor);
  }
  return { outputs };
}

function schedule(c: Case): Answer {
  const kind = String(c.config["schedule"]);
  const Kind = exportedClass(kind);
  if (Kind === undefined) return { skipped: kind };
  const [lr, momentum] = [Number(c.config["base_lr"]), Number(c.config["base_momentum"])];
  const made = new Kind({ lr, ...camelOptions(c.config, ["schedule", "base_lr", "base_momentum"]) }) as Schedule;
  const values = Array.from({ length: c.outputs["lr"]?.data.length ?? 0 }, (_, i) => made.at(i));
  const list = (data: number[]): Numbers => ({ shape: [data.length], data: Float64Array.from(data) });
  return { outputs: { lr: list(values.map((v) => v.lr)), momentum: list(values.map((v) => v.momentum ?? momentum)) } };
}
