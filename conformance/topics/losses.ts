// Losses: values and gradients by the logits.
import type { Loss, SoftHKRMulticlassLoss, Tensor } from "tslip";
import type { Case } from "../case.js";
import type { Answer } from "../compare.js";
import { floats, input, integers, together, withGradients } from "../compute.js";
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
  const form = kind in OF_2022 ? "additive" : "convex";
  // Which codes of targets are meant their values tell.
  const options = camelOptions(c.config, ["loss", "target", "true_values"]);
  const loss = new LossClass(WITH_FORM.includes(name) ? { ...options, form } : options);
  const target = input(c, "target");
  const labels = c.config["target"] === "index" ? integers(target) : floats(target);
  if ("currentMean" in loss) return await twoCalls(c, loss as SoftHKRMulticlassLoss, labels);
  return await withGradients("loss", { logits: input(c, "logits") }, undefined, (leaf) =>
    loss.forward(leaf("logits"), labels),
  );
}

/** Two calls of a loss that keeps a running mean, and the mean after each, which the file has as a list of one. */
async function twoCalls(c: Case, loss: SoftHKRMulticlassLoss, labels: Tensor): Promise<Answer> {
  const call = (logits: string, value: string, mean: string) =>
    together({ [logits]: input(c, logits) }, (leaf) => {
      const y = loss.forward(leaf(logits), labels);
      return { outputs: { [value]: y, [mean]: loss.currentMean.reshape([1]) }, of: y };
    });
  const first = await call("logits", "loss", "mean");
  const second = await call("logits2", "loss2", "mean2");
  return { outputs: { ...first.outputs, ...second.outputs }, grads: { ...first.grads, ...second.grads } };
}
