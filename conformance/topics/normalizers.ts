// Normalizations of weights: power iteration, Björck, both together, Frobenius.
import { functional, type Tensor } from "tslip";
import type { Case } from "../case.js";
import type { Answer } from "../compare.js";
import { floats, input, numbersOf, withGradients } from "../compute.js";

const { bjorckNormalization, frobeniusNormalization, safeSpectralNormalization, spectralNormalization } = functional;

export async function normalizers(c: Case): Promise<Answer> {
  if (c.name.startsWith("power_iteration_")) return await powerIteration(c);
  const { config } = c;
  if (c.name.startsWith("frobenius_")) {
    const disjointNeurons = config["disjoint_neurons"] === true;
    return await normalized(c, "y", (w) => frobeniusNormalization(w, { disjointNeurons }));
  }
  const bjorck = (w: Tensor): Tensor =>
    bjorckNormalization(w, { iterations: Number(config["niter"]), beta: Number(config["beta"]) });
  if (c.name.startsWith("bjorck_")) return await normalized(c, "w", bjorck);
  if (c.name.startsWith("spectral_bjorck_")) {
    return await normalized(c, "w", (w) => bjorck(safeSpectralNormalization(w)));
  }
  return { skipped: c.name };
}

async function normalized(c: Case, output: string, fn: (w: Tensor) => Tensor): Promise<Answer> {
  return await withGradients(output, { w: input(c, "w") }, c.inputs["cotangent"], (leaf) => fn(leaf("w")));
}

/** With `eps` as in torchlip 1.0.5, which stops early; else a number of iterations, as in 2022. */
async function powerIteration(c: Case): Promise<Answer> {
  const { eps, maxiter, niter } = c.config;
  const options = eps === undefined ? { iterations: Number(niter) } : { iterations: Number(maxiter), eps: Number(eps) };
  const { weight, u, sigma } = spectralNormalization(floats(input(c, "w")), floats(input(c, "u")), options);
  // sigma is 0-d in tslip and in 1.0.5; 2022 leaves it as the 1x1 product of vectors and matrix.
  const product = eps === undefined ? sigma.reshape([1, 1]) : sigma;
  return { outputs: { w: await numbersOf(weight), u: await numbersOf(u), sigma: await numbersOf(product) } };
}
