// Whether others use the machine: measurements beside other work are only indicative.
import { cpus } from "node:os";

const LOOK_MS = 500;
/** A share of the processors that others take without much harm. */
const TOLERABLE = 0.05;

/** The share of all processors, from 0 to 1, that others use while this process waits for half a second. */
export async function shareOfOthers(): Promise<number> {
  const before = spent();
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  const after = spent();
  const all = after.all - before.all;
  return all > 0 ? (after.busy - before.busy) / all : 0;
}

/** A sentence for a machine that is busy, nothing for a quiet one. */
export function warningOf(share: number): string | undefined {
  if (share <= TOLERABLE) return undefined;
  return `Other work took ${(100 * share).toFixed(0)} % of the machine when this began: the figures are only indicative.`;
}

function spent(): { busy: number; all: number } {
  const sum = { busy: 0, all: 0 };
  for (const { times } of cpus()) {
    const busy = times.user + times.nice + times.sys + times.irq;
    sum.busy += busy;
    sum.all += busy + times.idle;
  }
  return sum;
}
