// What a loss is, and what the library's own have in common: checked options as fields, weights of samples, listed states.
import { Parameter, State } from "../tensor/index.js";
import type { Stateful } from "../tensor/stateful.js";
import type { Tensor } from "../tensor/tensor.js";
import { type Counting, totalWeight } from "./total.js";

/**
 * A function of outputs and targets that training makes small. One with memory keeps it in states, which it assigns in
 * `forward` and lists by `namedStates`, as `Stateful` says. Changes of other fields are followed as those of a `Module` are, and no
 * others are seen.
 */
export interface Loss {
  /**
   * A scalar (or one value a sample, with reduction "none") of outputs `[n, ...]` and the targets of a data set: class indices
   * i32 `[n]`, or numbers f32 `[n, ...]`.
   */
  forward(output: Tensor, target: Tensor): Tensor;
}

/**
 * A loss that weighs its samples. With weights w of samples whose losses are l, reduction "mean" is sum(w l) / sum(w), "sum" is
 * sum(w l) and "none" w l; a sample of weight 0 counts as little as one that is not there, whatever its logits are. KR values, which are differences of means,
 * weigh samples inside these means, and have values w l whose sum over sum(w) is the weighted value.
 */
export abstract class WeighableLoss implements Loss, Stateful {
  /**
   * {@link Loss.forward}. One that is declared with fewer than three parameters, or with a default for the third, is taken for one
   * that does not weigh.
   * @param weights f32 `[n]`, at least 0; left out, all are 1
   */
  abstract forward(output: Tensor, target: Tensor, weights?: Tensor): Tensor;

  /**
   * What a mean over this batch is divided by, 0-d f32: how much its samples count together. Nothing where all count alike. What a
   * training reports of an epoch is the mean of its steps, each of which counts so much. By default the sum of weights; a loss some of
   * whose samples count more than they weigh, or not at all, says so here.
   */
  totalWeight(_output: Tensor, _target: Tensor, weights?: Tensor): Tensor | undefined {
    return weights?.sum();
  }

  /** The states among its fields: memory, and options that were given as states. Parameters are the model's. */
  namedStates(prefix = ""): [string, State][] {
    return Object.entries(this).flatMap(([name, value]): [string, State][] =>
      value instanceof State && !(value instanceof Parameter) ? [[`${prefix}${name}`, value]] : [],
    );
  }
}

/**
 * The class of a loss that a function of outputs, targets, checked options and weights computes: what `read` gives are its fields,
 * which are options again. `totalOf` says what its mean is divided by.
 */
export function lossOf<Given extends readonly unknown[], Options extends object>(
  read: (...options: Given) => Options,
  compute: (output: Tensor, target: Tensor, options: Options, weights?: Tensor) => Tensor,
  totalOf: typeof totalWeight = totalWeight,
): new (
  ...options: Given
) => WeighableLoss & { forward(output: Tensor, target: Tensor, weights?: Tensor): Tensor } & Readonly<Options> {
  class OptionsLoss extends WeighableLoss {
    constructor(...options: Given) {
      super();
      Object.assign(this, read(...options));
    }

    forward(output: Tensor, target: Tensor, weights?: Tensor): Tensor {
      return compute(output, target, this as unknown as Options, weights);
    }

    override totalWeight(output: Tensor, target: Tensor, weights?: Tensor): Tensor | undefined {
      return totalOf(output, target, this as Counting, weights);
    }
  }
  return OptionsLoss as unknown as new (
    ...options: Given
  ) => WeighableLoss & Readonly<Options>;
}
