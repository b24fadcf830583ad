// SharedLipFactory: layers that scale what runs through them, and the one coefficient that their scales make up.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { ones } from "../tensor/create.js";
import { showShape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";

/**
 * A layer that divides by a number of its own, which its parameters or statistics determine, and so is 1 / number-Lipschitz, such as
 * `BatchLipNorm`.
 */
export interface ScaledLipschitzModule {
  /** The number by which it divides, 0-d and above 0: in training mode that of the batch, else that of evaluation. */
  getScalingFactor(training: boolean): Tensor;
}

/**
 * Layers that share one coefficient, as in torchlip: with 1-Lipschitz layers in between a network is 1 / product-Lipschitz, product being
 * {@link getCurrentProductValue}, and the network times the product is 1-Lipschitz. A margin or a temperature of a loss that is
 * divided by it is one of that network. `new BatchLipNorm(8, { factory })` registers itself. What a certificate rests on is proved from the layers, and not from here.
 */
export class SharedLipFactory {
  readonly #modules: ScaledLipschitzModule[] = [];

  /** Those registered, in their order. */
  get modules(): readonly ScaledLipschitzModule[] {
    return [...this.#modules];
  }

  /** Adds a layer; one that stands twice in a network is registered twice. */
  register(module: ScaledLipschitzModule): void {
    if (typeof (module as Partial<ScaledLipschitzModule> | undefined)?.getScalingFactor !== "function") {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `a layer that shares its coefficient has a method getScalingFactor(training); given ${describe(module)}`,
      );
    }
    this.#modules.push(module);
  }

  /** The product of all scaling factors of now, 0-d and differentiable; 1 without any. */
  getCurrentProductValue(training = false): Tensor {
    return this.#modules.reduce((product, module) => product.mul(factorOf(module, training)), ones([]));
  }
}

function factorOf(module: ScaledLipschitzModule, training: boolean): Tensor {
  const factor: unknown = module.getScalingFactor(training);
  if (factor instanceof Tensor && factor.size === 1) return factor.reshape([]);
  throw new TslipError(
    "SHAPE_MISMATCH",
    `getScalingFactor() of ${module.constructor.name} must give a tensor of one number; it gave ` +
      (factor instanceof Tensor ? showShape(factor.shape) : describe(factor)),
  );
}
