// Layers: raw weight to effective weight, output, gradients by the effective weight; the convolution factor.
import { functional, type Module, type Tensor } from "tslip";
import type { Case } from "../case.js";
import { type Answer, differences } from "../compare.js";
import { floats, input, numbersOf, one, throughModule } from "../compute.js";
import { argumentsOf, exportedClass, kindOf } from "../options.js";

/** How far a bound may be below the file's constant, relatively: the rounding of float32 weights. */
const WEIGHT_ROUNDING = 1e-6;
/** How far the square of a factor times an exact norm may be above 1: float64 rounding. */
const FACTOR_ROUNDING = 1e-12;
/** What the generator notes beside the options. */
const NOTES = ["layer", "lconv_coefficient", "worst_case_coefficient", "overlap", "image_coefficient"];

export async function layers(c: Case): Promise<Answer> {
  if (c.name.startsWith("coefficient_")) return coefficient(c);
  const kind = kindOf(c, "layer");
  const Layer = exportedClass<Module>(kind);
  if (Layer === undefined) return { skipped: kind };
  const x = input(c, "x");
  const normalized = c.inputs["raw_weight"] !== undefined;
  const size = normalized ? sizeOf(kind, x.shape) : {};
  const layer = new Layer(...argumentsOf({ ...c.config, ...size }, NOTES));
  load(layer, c);
  const vanilla = layer.vanillaExport();
  const { outputs, grads = {} } = await throughModule(c, vanilla);
  const failures: string[] = [];
  const y = c.outputs["y"];
  if (y !== undefined)
    failures.push(...differences("y before export", y, await numbersOf(await layer.predict(floats(x))), c));
  if (c.lipschitz !== undefined) {
    for (const [name, module] of [["the layer", layer] as const, ["the exported layer", vanilla] as const]) {
      const bound = await module.lipschitzBound();
      if (!(bound >= c.lipschitz * (1 - WEIGHT_ROUNDING))) {
        failures.push(`the bound of ${name} is ${bound}, below the exact Lipschitz constant ${c.lipschitz}`);
      }
    }
  }
  if (!normalized) return { outputs, grads, failures };
  const weight = await numbersOf((layer as Module & { effectiveWeight(): Tensor }).effectiveWeight());
  return { outputs: { ...outputs, effective_weight: weight }, grads, failures };
}

/** The exact factor of a convolution belongs to an image size. */
function sizeOf(kind: string, shape: readonly number[]): Record<string, unknown> {
  if (kind.endsWith("Conv2d")) return { input_size: shape.slice(2) };
  return kind.endsWith("Conv1d") ? { input_size: shape[2] } : {};
}

/** Loads the weight before normalization (the weight itself in ordinary layers) and the bias. */
function load(layer: Module, c: Case): void {
  const key = layer.namedStates().find(([name]) => name.endsWith("original"))?.[0] ?? "weight";
  const { bias } = c.inputs;
  const weight = c.inputs["raw_weight"] ?? input(c, "weight");
  layer.loadStateDict({ [key]: floats(weight), ...(bias === undefined ? {} : { bias: floats(bias) }) });
}

/** The convolution factor for the padding k // 2 with which the file measured the kernel of ones. */
function coefficient(c: Case): Answer {
  const sizes = (key: string): number[] => Array.from(c.config[key] as ArrayLike<number>);
  const [kernelSize, stride, inputSize] = [sizes("kernel_size"), sizes("stride"), sizes("image")];
  const half = kernelSize.map((k) => Math.floor(k / 2));
  const padding = [...half, ...half];
  const factor = functional.convolutionFactor({ kernelSize, stride, padding, inputSize });
  const outputs = {
    now: one(factor),
    // In one dimension 1.0.5's coefficient, which is smaller, is kept.
    ...(kernelSize.length === 2
      ? { worst_case: one(functional.convolutionFactor({ kernelSize, stride, padding })) }
      : {}),
  };
  const norm = c.outputs["sigma_of_ones_kernel"]?.data[0];
  const sound = norm !== undefined && factor * norm <= 1 + FACTOR_ROUNDING;
  return {
    outputs,
    failures: sound ? [] : [`the factor ${factor} times the norm ${norm} of the kernel of ones is above 1`],
    // Averages over the image, which are not sound, and the norm used above.
    notCompared: Object.keys(c.outputs).filter((key) => !(key in outputs)),
  };
}
