// Layers: raw weight to effective weight, output, gradients by the effective weight; activations, pooling; the factor.
import { compile, functional, grad, type Module, type State, type Tensor, tensor } from "tslip";
import type { Answer, Case, Named } from "../case.js";
import { floats, numbersOf, one, withGradients } from "../compute.js";
import { camelOptions, exportedClass } from "../options.js";

/** How far a bound may be below the exact constant: the rounding of the file's figure. */
const BOUND_ROOM = 1e-7;
const SIZES = ["in_features", "out_features", "in_channels", "out_channels"];
/** What the generator notes beside the options. */
const NOTES = ["layer", "lconv_coefficient", "worst_case_coefficient", "overlap", "image_coefficient"];

export async function layers(c: Case): Promise<Answer> {
  if (c.name.startsWith("coefficient_")) return coefficient(c);
  const kind = String(c.config["layer"]);
  const Layer = exportedClass(kind);
  const { x, raw_weight: raw, cotangent, bias } = c.inputs;
  if (Layer === undefined || x === undefined || raw === undefined || cotangent === undefined) return { skipped: kind };
  const sizes = SIZES.flatMap((key) => (c.config[key] === undefined ? [] : [Number(c.config[key])]));
  const options = camelOptions(c.config, [...SIZES, ...NOTES]);
  const inputSize = kind.includes("Conv2d") ? { inputSize: x.shape.slice(2) } : {};
  const layer = new Layer(...sizes, { ...options, ...inputSize }) as Module & { effectiveWeight(): Tensor };
  const key = layer.namedStates().find(([name]) => name.endsWith("original"))?.[0] ?? "weight";
  layer.loadStateDict({ [key]: floats(raw), ...(bias === undefined ? {} : { bias: floats(bias) }) });
  const vanilla = layer.vanillaExport();
  const states: [string, State][] = vanilla.namedStates();
  const run = compile((input: Tensor, weight: Tensor) => {
    const y = vanilla.forward(input);
    const gradients = grad(y.mul(weight).sum(), [input, ...states.map(([, state]) => state)]);
    return { y, gradients };
  });
  const { y, gradients } = await run(floats(x), floats(cotangent));
  const names = ["x", ...states.map(([name]) => name)];
  const grads: Record<string, Awaited<ReturnType<typeof numbersOf>>> = {};
  for (const [i, name] of names.entries()) grads[name] = await numbersOf(gradients[i] as Tensor);
  const own = await layer.predict(floats(x));
  const apart = Math.max(...Array.from(own.held(), (value, i) => Math.abs(value - (y.held()[i] ?? 0))));
  const bound = layer.lipschitzBound();
  const failure = [
    ...(apart > c.atol * 10 ? [`the exported layer is ${apart} from the layer itself`] : []),
    ...(c.lipschitz !== undefined && bound < c.lipschitz * (1 - BOUND_ROOM)
      ? [`the bound ${bound} is below the exact Lipschitz constant ${c.lipschitz}`]
      : []),
  ];
  const outputs = { y: await numbersOf(y), effective_weight: await numbersOf(layer.effectiveWeight()) };
  return { outputs, grads, ...(failure.length > 0 ? { failure: failure.join("; ") } : {}) };
}

/** The factor of stride and kernel under "same" padding, which must also be sound for the kernel of ones. */
function coefficient(c: Case): Answer {
  const list = (key: string): number[] => Array.from(c.config[key] as ArrayLike<number>);
  const [kernelSize, stride, inputSize] = [list("kernel_size"), list("stride"), list("image")];
  const before = kernelSize.map((k) => Math.floor((k - 1) / 2));
  const padding = [...before, ...kernelSize.map((k, i) => k - 1 - (before[i] ?? 0))];
  const factor = functional.convolutionFactor({ kernelSize, stride, padding, inputSize });
  const norm = c.outputs["sigma_of_ones_kernel"]?.data[0] ?? 0;
  const expected: Named = Object.fromEntries(Object.entries(c.outputs).filter(([key]) => key !== "now"));
  const failure = factor * norm > 1 + BOUND_ROOM ? { failure: `factor ${factor} times ${norm} exceeds 1` } : {};
  // The other figures of the case are those of averages over the image, which are not sound.
  return { outputs: { ...expected, now: one(factor) }, ...failure };
}

export async function modules(c: Case): Promise<Answer> {
  const kind = String(c.config["layer"] ?? c.name.replace(/_.*/, ""));
  const Layer = exportedClass(kind);
  const { x, cotangent } = c.inputs;
  if (Layer === undefined || x === undefined || cotangent === undefined || c.config["layer"] === undefined) {
    return { skipped: kind };
  }
  if (c.config["ceil_mode"] === true) return { skipped: `${kind} with ceil_mode` };
  const leaves = Object.keys(c.inputs).filter((name) => name !== "cotangent" && name !== "x");
  if (leaves.length > 0) return { skipped: `${kind} with ${leaves.join(", ")}` };
  const { groupSize, ...options } = camelOptions(c.config, ["layer"]);
  const layer = (groupSize === undefined ? new Layer(options) : new Layer(groupSize, options)) as Module;
  return await withGradients({ x }, (l) => ({ y: layer.forward(l["x"] ?? tensor([0])) }), "y", cotangent);
}
