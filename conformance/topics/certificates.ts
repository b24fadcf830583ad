// Certified radii of logits in float64.
import { type CertificateKind, functional } from "tslip";
import type { Case } from "../case.js";
import type { Answer } from "../compare.js";
import { input, list } from "../compute.js";

const KINDS: readonly CertificateKind[] = ["generic", "disjoint", "pairwise"];

export async function certificates(c: Case): Promise<Answer> {
  const kind = KINDS.find((known) => known === c.config["kind"]);
  if (kind === undefined) return { skipped: String(c.config["kind"]) };
  const logits = input(c, "logits");
  const { head } = c.inputs;
  const found = functional.certificateRadius(
    { data: logits.data, shape: matrix(logits.shape) },
    {
      kind,
      lipschitz: Number(c.config["lipschitz"]),
      ...(head === undefined || kind !== "pairwise" ? {} : { head: { data: head.data, shape: matrix(head.shape) } }),
    },
  );
  return { outputs: { class: list(found.predicted), radius: list(found.radius) } };
}

function matrix(shape: readonly number[]): [number, number] {
  const [rows, columns] = shape;
  if (rows === undefined || columns === undefined) throw new Error(`[${shape.join(", ")}] is no shape of a matrix`);
  return [rows, columns];
}
