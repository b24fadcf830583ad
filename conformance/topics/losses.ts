// Losses: values and gradients by the logits.
import { functional, HingeMulticlassLoss, HKRMulticlassLoss, KRMulticlassLoss, type Loss } from "tslip";
import type { Answer, Case, Config } from "../case.js";
import { floats, integers, withGradients } from "../compute.js";
import { camelOptions } from "../options.js";

const number = (config: Config, key: string): number => Number(config[key]);

/** Losses by the names of the reference, made from a case's configuration. */
const makers: Record<string, (config: Config) => Loss> = {
  kr_multiclass_loss: () => ({ forward: (y, t) => functional.krMulticlass(y, t) }),
  hinge_multiclass_loss: (c) => new HingeMulticlassLoss({ minMargin: number(c, "min_margin"), form: "additive" }),
  hkr_multiclass_loss: (c) =>
    new HKRMulticlassLoss({ alpha: number(c, "alpha"), minMargin: number(c, "min_margin"), form: "additive" }),
  KRMulticlassLoss: (c) => new KRMulticlassLoss({ reduction: reductionOf(c) }),
  HingeMulticlassLoss: (c) =>
    new HingeMulticlassLoss({ minMargin: number(c, "min_margin"), form: "convex", reduction: reductionOf(c) }),
  HKRMulticlassLoss: (c) =>
    new HKRMulticlassLoss({ alpha: number(c, "alpha"), minMargin: number(c, "min_margin"), form: "convex" }),
};

function reductionOf(config: Config): "mean" | "sum" | "none" {
  const { reduction = "mean" } = camelOptions(config, ["loss"]);
  return reduction === "sum" || reduction === "none" ? reduction : "mean";
}

export async function losses(c: Case): Promise<Answer> {
  const kind = String(c.config["loss"]);
  const make = makers[kind];
  const { logits, target } = c.inputs;
  if (make === undefined || logits === undefined || target === undefined) return { skipped: kind };
  if (c.config["multi_gpu"] === true) return { skipped: `${kind} with multi_gpu` };
  const loss = make(c.config);
  const labels = c.config["target"] === "index" ? integers(target) : floats(target);
  return await withGradients({ logits }, ({ logits: y }) => ({ loss: loss.forward(y ?? labels, labels) }), "loss");
}
