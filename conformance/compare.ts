// How answers are compared with what a case expects: |got - want| <= atol + rtol |want|.
import type { Case, Named, Numbers } from "./case.js";

/** What was computed for a case. */
export interface Computed {
  readonly outputs: Named;
  readonly grads?: Named;
  /** What is wrong beyond the values. */
  readonly failures?: readonly string[];
  /** Expected outputs that the library has no counterpart of. They are named in the report. */
  readonly notCompared?: readonly string[];
}

/** What a topic answers: what it computed, or what the library does not have yet. */
export type Answer = Computed | { readonly skipped: string };

type Tolerance = Pick<Case, "rtol" | "atol">;

/** What is wrong with an answer, one line each; nothing if it is right. */
export function mistakes(expected: Case, answer: Computed): string[] {
  const wrong = [...(answer.failures ?? [])];
  const left = new Set(answer.notCompared);
  for (const [key, want] of Object.entries(expected.outputs)) {
    if (!left.has(key)) wrong.push(...differences(key, want, answer.outputs[key], expected));
  }
  // Without an expected value the answer must be finite (or refused).
  if (Object.keys(expected.outputs).length === 0) {
    const computed = Object.entries(answer.outputs);
    if (computed.length === 0) wrong.push("nothing was computed");
    for (const [key, got] of computed) if (!got.data.every(Number.isFinite)) wrong.push(`${key} is not finite`);
  } else if (Object.keys(expected.outputs).every((key) => left.has(key))) {
    wrong.push("no output was compared");
  }
  for (const [key, want] of Object.entries(expected.grads)) {
    const found = differences(`gradient of ${key}`, want, answer.grads?.[key], expected);
    const finite = answer.grads?.[key]?.data.every(Number.isFinite) === true && sameShape(want, answer.grads[key]);
    if (!expected.ties || !finite) wrong.push(...found);
  }
  return wrong;
}

/** What sets `got` apart from `want`: its absence, its shape, or its worst entry. */
export function differences(key: string, want: Numbers, got: Numbers | undefined, tolerance: Tolerance): string[] {
  if (got === undefined) return [`${key} was not computed`];
  if (!sameShape(want, got)) {
    return [`${key} has shape [${got.shape.join(", ")}], expected [${want.shape.join(", ")}]`];
  }
  let worst = { share: 1, at: -1, allowed: 0 };
  let count = 0;
  for (const [at, w] of want.data.entries()) {
    const g = got.data[at] ?? Number.NaN;
    const allowed = tolerance.atol + tolerance.rtol * Math.abs(w);
    const share = excess(g, w, allowed);
    if (share > 1) count += 1;
    if (share > worst.share) worst = { share, at, allowed };
  }
  if (count === 0) return [];
  const { at, allowed } = worst;
  const where = `${key}[${placeOf(at, want.shape)}]`;
  const more = count > 1 ? `, the worst of ${count} of ${want.data.length} entries` : "";
  const room = Number.isFinite(allowed) ? allowed.toExponential(1) : "nothing else";
  return [`${where}: got ${got.data[at]}, wanted ${want.data[at]}, allowed ${room}${more}`];
}

/** The error as a multiple of what is allowed. What is not finite is right only where the same is expected. */
function excess(got: number, want: number, allowed: number): number {
  if (got === want || (Number.isNaN(got) && Number.isNaN(want))) return 0;
  if (!Number.isFinite(got) || !Number.isFinite(want)) return Number.POSITIVE_INFINITY;
  return Math.abs(got - want) / allowed;
}

function sameShape(a: Numbers, b: Numbers | undefined): boolean {
  return a.shape.join() === b?.shape.join();
}

/** The indices of an entry by its place in memory. */
function placeOf(at: number, shape: readonly number[]): string {
  const indices: number[] = [];
  let rest = at;
  for (const size of shape.toReversed()) {
    indices.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return indices.join(", ");
}
