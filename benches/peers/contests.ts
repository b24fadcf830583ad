// What is compared with what, and how much faster tslip means to be.
import { OTHER_WORKS, REFERENCE_WORKS } from "../works.js";

/** How PyTorch runs a work. */
export type Variant = "eager" | "compiled";

/** Where both run; on a GPU PyTorch does with CUDA. */
export const DEVICES = ["cpu", "gpu"] as const;
export type Where = (typeof DEVICES)[number];

/** Works of tslip beside one work of the peers. */
export interface Contest {
  /** Name of the work in torch_bench.py. */
  peer: string;
  /** Names of tslip's works: `await` and, where there are such, the synchronous form, that with projections. */
  ours: string[];
  variants: readonly Variant[];
}

/** How many times faster: at least, and if all goes well. */
type Goals = readonly [RegExp, number, number?][];

/** On the CPU than the best variant of PyTorch, on a GPU than the eager one. */
const GOALS: Readonly<Record<Where, Goals>> = {
  cpu: [
    [/^train4096/, 6, 7],
    [/^train100/, 5.5, 7],
    [/^infer4096$/, 10, 13],
    [/^infer1$/, 5, 7],
    [/^infer1Sync$/, 10, 20],
    [/^attack$/, 14, 18],
    [/^mlpTrain.*Projection$/, 3, 4],
    [/^mlpTrain/, 2, 3],
    [/^wideTrain/, 2.2, 3],
    [/^residualTrain256/, 2, 3],
    [/^mlp.*256/, 1.2],
    [/^odd.*256/, 2],
    [/^wide.*256/, 1.5],
    [/^(signal|sorted).*256/, 1],
    [/16(Sync)?$/, 1],
  ],
  gpu: [
    [/^(train|infer)4096/, 1],
    [/^train100/, 5],
    [/^attack$/, 10],
  ],
};

/** All names of works of tslip, in the order in which they are shown. */
export const NAMES = Object.keys({ ...REFERENCE_WORKS, ...OTHER_WORKS });

/** Goals of a work, as text. */
export function goalOf(name: string, where: Where): string {
  const [, least, stretch] = GOALS[where].find(([pattern]) => pattern.test(name)) ?? [];
  if (least === undefined) return "";
  return stretch === undefined ? `${least}` : `${least} (${stretch})`;
}

/** The contests that the given works take part in. On the CPU inference and attacks of the reference network run eagerly. */
export function contestsOf(names: readonly string[], where: Where): Contest[] {
  const contests = new Map<string, Contest>();
  for (const name of names) {
    const peer = name.replace(/(Sync|Projection)$/, "");
    const eagerOnly = where === "cpu" && /^(infer|attack)/.test(name);
    const variants: Variant[] = eagerOnly ? ["eager"] : ["eager", "compiled"];
    const contest = contests.get(peer) ?? { peer, ours: [], variants };
    contest.ours.push(name);
    contests.set(peer, contest);
  }
  return [...contests.values()];
}
