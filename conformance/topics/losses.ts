// Losses: values and gradients by the logits.
import type { Loss } from "tslip";
import type { Case } from "../case.js";
import type { Answer } from "../compare.js";
import { floats, input, integers, withGradients } from "../compute.js";
import { camelOptions, exportedClass, kindOf } from "../options.js";

/** Functions of torchlip's 2022 version, and the classes that answer them. */
const OF_2022: Readonly<Record<string, string>> = {
  kr_loss: "KRLoss",
  hinge_margin_loss: "HingeMarginLoss",
  hkr_loss: "HKRLoss",
  kr_multiclass_loss: "KRMulticlassLoss",
  hinge_multiclass_loss: "HingeMulticlassLoss",
  hkr_multiclass_loss: "HKRMulticlassLoss",
};
/** Losses with a hinge, whose margin the two versions define differently. */
const WITH_FORM = ["HingeMarginLoss", "HKRLoss", "HingeMulticlassLoss", "HKRMulticlassLoss"];

export async function losses(c: Case): Promise<Answer> {
  const kind = kindOf(c, "loss");
  const name = OF_2022[kind] ?? kind.replace(/_multi_gpu$/, "");
  const LossClass = exportedClass<Loss>(name);
  if (LossClass === undefined) return { skipped: kind };
  // Targets split for several devices are a format of torchlip's own.
  if (c.config["multi_gpu"] === true) return { skipped: `${name} with multi_gpu` };
  const form = kind in OF_2022 ? "additive" : "convex";
  // Which codes of targets are meant their values tell.
  const options = camelOptions(c.config, ["loss", "target", "true_values", "multi_gpu"]);
  // torchlip's "auto" is its mean.
  if (options["reduction"] === "auto") options["reduction"] = "mean";
  const loss = new LossClass(WITH_FORM.includes(name) ? { ...options, form } : options);
  const target = input(c, "target");
  const labels = c.config["target"] === "index" ? integers(target) : floats(target);
  return await withGradients("loss", { logits: input(c, "logits") }, undefined, (leaf) =>
    loss.forward(leaf("logits"), labels),
  );
}
