// BatchCentering: batches are centred channel by channel.
import type { Options } from "../../options.js";
import { type Definition, optionsOf } from "../definition.js";
import { BATCH, BatchLipNorm, type BatchOptions } from "./batch-lip-norm.js";

const definition = { type: "BatchCentering", positional: ["numFeatures"], schema: BATCH } satisfies Definition;

/** {@link BatchLipNorm} without a scale: 1-Lipschitz. */
export class BatchCentering extends BatchLipNorm {
  static override readonly definition: Definition = definition;
  override readonly options: Options<typeof definition.schema>;

  constructor(numFeatures: number, options?: BatchOptions) {
    const all = optionsOf(definition, [numFeatures], options);
    super(numFeatures, { bias: all.bias, dim: all.dim, normalize: false });
    this.options = all;
  }
}
