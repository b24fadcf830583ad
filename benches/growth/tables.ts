// How cost grows, as tables of a page.
import { markdown, milliseconds } from "../table.js";
import { type Axis, type Cost, TITLES } from "./points.js";

const START = "<!-- npm run bench:growth writes from here -->";
const END = "<!-- to here -->";

/** A table for each axis that was measured: milliseconds by threads, and what more threads bring. */
export function tablesOf(costs: readonly Cost[]): string {
  const axes = (Object.keys(TITLES) as Axis[]).filter((axis) => costs.some((cost) => cost.axis === axis));
  return axes
    .map((axis) =>
      tableOf(
        costs.filter((cost) => cost.axis === axis),
        TITLES[axis],
      ),
    )
    .join("\n\n");
}

function tableOf(costs: readonly Cost[], title: string): string {
  const threads = [...new Set(costs.map((cost) => cost.threads))].toSorted((a, b) => a - b);
  const most = threads.at(-1) ?? 1;
  const works = ["training", "inference"] as const;
  const header = works.flatMap((work) => [
    ...threads.map((count) => `${work}, ${count === 1 ? "1 thread" : `${count} threads`}`),
    ...(threads.length > 1 ? ["faster"] : []),
    "GFLOP/s",
  ]);
  const rows = [...new Set(costs.map(({ at }) => at))].map((at) => {
    const cells = works.flatMap((work) => {
      const found = threads.map((count) => costs.find((c) => c.at === at && c.work === work && c.threads === count));
      const [first, last] = [found[0], found.find((cost) => cost?.threads === most)];
      const gain = first === undefined || last === undefined ? "" : (first.median / last.median).toFixed(2);
      return [
        ...found.map((cost) => (cost === undefined ? "" : milliseconds(cost.median))),
        ...(threads.length > 1 ? [gain] : []),
        last === undefined ? "" : (last.flops / last.median / 1e6).toFixed(0),
      ];
    });
    return [String(at), ...cells];
  });
  return markdown([title, ...header], rows, "--:");
}

/** The page with new tables in the place of the old ones, or at its end. */
export function withTables(page: string, tables: string): string {
  const block = `${START}\n\n${tables}\n\n${END}`;
  const [start, end] = [page.indexOf(START), page.indexOf(END)];
  if (start < 0 || end < start) return `${page.trimEnd()}\n\n${block}\n`;
  return page.slice(0, start) + block + page.slice(end + END.length);
}
