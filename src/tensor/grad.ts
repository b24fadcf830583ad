// Gradients as nodes: the engine expands them, so they can be differentiated again.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { topological } from "./graph.js";
import { showShape } from "./shape.js";
import { Parameter } from "./state.js";
import { asTensor, Tensor } from "./tensor.js";
import { latest, traceOf } from "./trace.js";

/** One gradient per tensor of `W`, in order. */
export type Gradients<W extends readonly Tensor[]> = { -readonly [K in keyof W]: Tensor };

/**
 * Gradients of a 0-d f32 loss with respect to f32 tensors, each of the shape of its tensor; zeros where the loss does
 * not depend on it. As everywhere in a compiled function, a state that was assigned stands for the tensor it was assigned:
 * as the loss it is that tensor, and a gradient with respect to it is one with respect to that tensor, not to the value
 * that the state began the step with. Throws `SHAPE_MISMATCH` unless the loss is 0-d, `INVALID_ARGUMENT` when the loss depends on a
 * parameter that neither `wrt` nor any module's `parameters()` lists, `TRACE` when a listed parameter was assigned after
 * the loss was computed.
 */
export function grad<const W extends readonly Tensor[]>(loss: Tensor, wrt: W): Gradients<W> {
  asTensor("grad", loss);
  if (!Array.isArray(wrt)) {
    throw new TslipError("INVALID_ARGUMENT", `grad takes a loss, then an array of tensors; given ${describe(wrt)}`);
  }
  for (const x of wrt) asTensor("grad", x);
  if (loss.rank !== 0 || loss.dtype !== "f32") {
    throw new TslipError(
      loss.rank === 0 ? "DTYPE_MISMATCH" : "SHAPE_MISMATCH",
      `grad needs a 0-d f32 loss; given ${loss.dtype} of shape ${showShape(loss.shape)}; reduce it with sum() or mean()`,
      { op: "grad", shapes: [loss.shape] },
    );
  }
  const root = latest(loss);
  const reached = new Set(topological([root]));
  refuseForgotten(reached, wrt);
  const gradients = wrt.map((x) => {
    if (x.dtype !== "f32") {
      throw new TslipError(
        "DTYPE_MISMATCH",
        `gradients exist with respect to f32 tensors; given ${x.dtype}; cast it first`,
        {
          op: "grad",
          shapes: [loss.shape, x.shape],
        },
      );
    }
    const now = latest(x);
    if (now !== x && !reached.has(now)) {
      const name = x instanceof Parameter ? x.name : "a state";
      throw new TslipError(
        "TRACE",
        `${name} was assigned after the loss was computed; take all gradients before assigning`,
      );
    }
    const operands = [root, now] as const;
    return new Tensor("grad", {}, operands, now.shape, "f32", traceOf("grad", operands));
  });
  return gradients as Gradients<W>;
}

/** A training step that walks a module's parameters must not miss one that the loss depends on. */
function refuseForgotten(reached: ReadonlySet<Tensor>, wrt: readonly Tensor[]): void {
  const training = wrt.length === 0 || wrt.some((x) => x instanceof Parameter && x.listed);
  if (!training) return;
  const listed = new Set<Tensor>(wrt);
  for (const t of reached) {
    if (t instanceof Parameter && !t.listed && !listed.has(t)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `the loss depends on the parameter "${t.name}" of shape ${showShape(t.shape)}, which no parameters() lists: keep it in a ` +
          "field (or an array in a field) of its module, or use its stopGradient() if it is meant to stay as it is",
      );
    }
  }
}
