// torchlip's losses with a temperature tau: PyTorch's cross-entropies of tau y, divided by tau.
import { ignoreIndex, type Option, positive } from "../options.js";
import type { Tensor } from "../tensor/index.js";
import { type crossEntropy, crossEntropyOf } from "./cross-entropy.js";
import { lossOf } from "./loss.js";
import { over } from "./operand.js";
import {
  type Adjustable,
  adjustable,
  type ClassOptions,
  type ClassWeights,
  type CrossEntropyOptions,
  classFactors,
  crossEntropySchema,
  type ReductionOptions,
  read,
  reduction,
} from "./options.js";
import { reduced } from "./reduce.js";
import { checkCount, signTargets, weighed } from "./targets.js";
import { totalOfCrossEntropy, totalOfSigns } from "./total.js";

/** Options of cross-entropy with a temperature. */
export interface TauCrossEntropyOptions extends CrossEntropyOptions {
  /** Factor of the logits, above 0. */
  tau: Adjustable;
}

/** Options of binary cross-entropy with a temperature. */
export interface TauBceWithLogitsOptions extends ReductionOptions, ClassOptions {
  /** Factor of the logits, above 0. */
  tau: Adjustable;
  /** PyTorch's `pos_weight`: factor of the terms of positive labels, one number or one for each label; by default 1. */
  posWeight?: number | ClassWeights | undefined;
}

const tau: Option<Adjustable> = adjustable(positive());
const posWeight: Option<Tensor | undefined> = {
  read: (name, given) => classFactors.read(name, typeof given === "number" ? [given] : given),
};

const tauCrossEntropyOptions = (options: TauCrossEntropyOptions) =>
  read("cross-entropy with a temperature", { tau, ...crossEntropySchema }, options);
const tauBceOptions = (options: TauBceWithLogitsOptions) =>
  read("binary cross-entropy with a temperature", { tau, posWeight, reduction, ignoreIndex }, options);

/** {@link crossEntropy} of tau y, divided by tau (torchlip 1.0.5). */
export function tauCrossEntropy(
  logits: Tensor,
  target: Tensor,
  options: TauCrossEntropyOptions,
  weights?: Tensor,
): Tensor {
  const { tau, ...rest } = tauCrossEntropyOptions(options);
  return crossEntropyOf((kept) => kept.mul(tau), logits, target, rest, weights).mul(over(1, tau));
}

/**
 * Binary cross-entropy of sigmoid(tau y), divided by tau (torchlip 1.0.5, torch.nn.BCEWithLogitsLoss), by default its mean; `none`
 * gives the mean over the labels of each sample, and "sum" the sum over all.
 * @param logits f32 `[n]`, `[n, 1]`, or `[n, ...]` with several labels a sample
 * @param target 0/1 or -1/+1, one for each logit
 * @param weights of the samples, f32 `[n]`
 */
export function tauBceWithLogits(
  logits: Tensor,
  target: Tensor,
  options: TauBceWithLogitsOptions,
  weights?: Tensor,
): Tensor {
  const { tau, posWeight, reduction, ignoreIndex } = tauBceOptions(options);
  const targets = weighed(signTargets(logits, target, ignoreIndex), weights);
  const { rows } = targets;
  // One number stands for all labels.
  if (posWeight?.size !== 1 && posWeight !== undefined) checkCount("posWeight", posWeight, rows.shape[1] ?? 1);
  const factors = posWeight === undefined ? undefined : rows.mul(posWeight.sub(1)).add(1);
  // A label whose term has the factor 0 may have any logit, as a sample of weight 0.
  const kept = factors === undefined ? targets.logits : factors.greater(0).where(targets.logits, 0);
  const x = kept.mul(tau);
  // log(1 + exp(-x)), shifted so that nothing overflows; the shift is no part of the derivative.
  const shift = x.neg().relu().stopGradient();
  const softplus = shift.neg().exp().add(x.neg().sub(shift).exp()).log().add(shift);
  const terms = rows
    .neg()
    .add(1)
    .mul(x)
    .add(factors === undefined ? softplus : factors.mul(softplus));
  const ofSamples = reduction === "sum" ? terms.sum(1) : terms.mean(1);
  return targets.sure(reduced(ofSamples, targets, reduction).mul(over(1, tau)));
}

/** {@link tauCrossEntropy} */
export class TauCrossEntropyLoss extends lossOf(tauCrossEntropyOptions, tauCrossEntropy, totalOfCrossEntropy) {}

/** {@link tauBceWithLogits} */
export class TauBCEWithLogitsLoss extends lossOf(tauBceOptions, tauBceWithLogits, totalOfSigns) {}
