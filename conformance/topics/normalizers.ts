// Normalizations of weights: power iteration, Björck, both together, Frobenius.
import { functional, type Tensor, tensor } from "tslip";
import type { Answer, Case } from "../case.js";
import { floats, numbersOf, withGradients } from "../compute.js";

export async function normalizers(c: Case): Promise<Answer> {
  const { w, u, cotangent } = c.inputs;
  if (w === undefined) return { skipped: c.name };
  const niter = Number(c.config["niter"]);
  if (c.name.startsWith("power_iteration")) {
    if (u === undefined) return { skipped: "power_iteration" };
    const eps = c.config["eps"] === undefined ? {} : { eps: Number(c.config["eps"]) };
    const iterations = c.config["eps"] === undefined ? niter : Number(c.config["maxiter"]);
    const found = functional.spectralNormalization(floats(w), floats(u), { iterations, ...eps });
    const outputs = {
      w: await numbersOf(found.weight),
      u: await numbersOf(found.u),
      sigma: await numbersOf(found.sigma),
    };
    return { outputs };
  }
  const none = tensor([0]);
  if (c.name.startsWith("bjorck")) {
    const options = { iterations: niter, beta: Number(c.config["beta"]) };
    const run = await withGradients(
      { w },
      (l) => ({ w: functional.bjorckNormalization(l["w"] ?? none, options) }),
      "w",
      cotangent,
    );
    return run;
  }
  if (c.name.startsWith("spectral_bjorck")) {
    const both = (x: Tensor = none): Tensor =>
      functional.bjorckNormalization(functional.safeSpectralNormalization(x), { iterations: niter });
    return await withGradients({ w }, (l) => ({ w: both(l["w"]) }), "w", cotangent);
  }
  if (c.name.startsWith("frobenius")) {
    const options = { disjointNeurons: c.config["disjoint_neurons"] === true };
    return await withGradients(
      { w },
      (l) => ({ y: functional.frobeniusNormalization(l["w"] ?? none, options) }),
      "y",
      cotangent,
    );
  }
  return { skipped: c.name };
}
