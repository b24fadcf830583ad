// Certified radii of logits in float64.
import { type CertificateKind, functional } from "tslip";
import type { Answer, Case } from "../case.js";

export async function certificates(c: Case): Promise<Answer> {
  const { logits, head } = c.inputs;
  const kind = String(c.config["kind"]);
  if (logits === undefined) return { skipped: kind };
  const [n = 0, classes = 0] = logits.shape;
  const [rows = 0, features = 0] = head?.shape ?? [];
  const found = functional.certificateRadius(
    { data: logits.data, shape: [n, classes] },
    {
      kind: kind as CertificateKind,
      lipschitz: Number(c.config["lipschitz"]),
      ...(head === undefined ? {} : { head: { data: head.data, shape: [rows, features] as const } }),
    },
  );
  return {
    outputs: {
      class: { shape: [n], data: Float64Array.from(found.predicted) },
      radius: { shape: [n], data: found.radius },
    },
  };
}
