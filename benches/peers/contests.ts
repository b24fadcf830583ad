// What is compared with what, and how much faster tslip means to be.
import { OTHER_WORKS, REFERENCE_WORKS } from "../works.js";

/** How PyTorch runs a work. */
export type Variant = "eager" | "compiled";

/** Works of tslip beside one work of the peers. */
export interface Contest {
  /** Name of the work in torch_bench.py. */
  peer: string;
  /** Names of tslip's works: `await` and, where there is one, the synchronous form. */
  ours: string[];
  variants: readonly Variant[];
}

/** How many times faster than the best variant of PyTorch: at least, and if all goes well. */
const GOALS: readonly [RegExp, number, number?][] = [
  [/^train4096/, 5, 5.9],
  [/^train100/, 4, 5],
  [/^infer4096$/, 10, 13],
  [/^infer1$/, 5, 7],
  [/^infer1Sync$/, 10, 20],
  [/^attack$/, 12, 16],
  [/^mlp.*256/, 1.2],
  [/^odd.*256/, 2],
  [/^wide.*256/, 1.5],
  [/16(Sync)?$/, 1],
];

/** All names of works of tslip, in the order in which they are shown. */
export const NAMES = Object.keys({ ...REFERENCE_WORKS, ...OTHER_WORKS });

/** Goals of a work, as text. */
export function goalOf(name: string): string {
  const [, least, stretch] = GOALS.find(([pattern]) => pattern.test(name)) ?? [];
  if (least === undefined) return "";
  return stretch === undefined ? `${least}` : `${least} (${stretch})`;
}

/** The contests that the given works take part in. Inference and attacks of the reference network run eagerly. */
export function contestsOf(names: readonly string[]): Contest[] {
  const contests = new Map<string, Contest>();
  for (const name of names) {
    const peer = name.replace(/Sync$/, "");
    const variants: Variant[] = /^(infer|attack)/.test(name) ? ["eager"] : ["eager", "compiled"];
    const contest = contests.get(peer) ?? { peer, ours: [], variants };
    contest.ours.push(name);
    contests.set(peer, contest);
  }
  return [...contests.values()];
}
