// Draws how cost grows: a panel for each axis, logarithmic on both, so that a straight line is a power.
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { FONT_FAMILY } from "#tslip/report/svg.js";
import { type Axis, type Cost, TITLES } from "./points.js";

const PANEL = { width: 440, height: 320 };
const COLUMNS = 2;
const HEADING = 44;
const COLORS: Readonly<Record<Cost["work"], string>> = { training: "#0969da", inference: "#bc4c00" };
const DASHED = "5 4";
const QUIET = "#656d76";

/** The drawing as an SVG document. */
export function drawGrowth(costs: readonly Cost[], caption: string): string {
  const axes = Object.keys(TITLES) as Axis[];
  const panels = axes.map((axis, i) => {
    const [x, y] = [(i % COLUMNS) * PANEL.width, HEADING + Math.floor(i / COLUMNS) * PANEL.height];
    return panel(
      costs.filter((cost) => cost.axis === axis),
      TITLES[axis],
    ).replace("<svg", `<svg x="${x}" y="${y}"`);
  });
  const [width, height] = [COLUMNS * PANEL.width, HEADING + Math.ceil(axes.length / COLUMNS) * PANEL.height];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${caption}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<g font-family="${FONT_FAMILY}, sans-serif" font-size="13" fill="${QUIET}">${legend(costs)}</g>`,
    ...panels,
    "</svg>",
    "",
  ].join("\n");
}

function panel(costs: readonly Cost[], title: string): string {
  const { document } = parseHTML("<html></html>");
  const most = Math.max(...costs.map(({ threads }) => threads));
  const places = thinned([...new Set(costs.map(({ at }) => at))]);
  const heights = roundBetween(costs.map(({ median }) => median));
  const figure = Plot.plot({
    document,
    ...PANEL,
    marginLeft: 52,
    marginRight: 24,
    marginTop: 28,
    marginBottom: 44,
    style: { fontFamily: `${FONT_FAMILY}, sans-serif`, fontSize: "12px", background: "transparent" },
    x: { type: "log" },
    y: { type: "log" },
    marks: [
      // A text for each tick: the axis of a logarithmic scale leaves out those that it does not count as round.
      Plot.axisX(places, { text: places.map(String), label: title, labelAnchor: "center", labelArrow: "none" }),
      Plot.gridY(heights),
      Plot.axisY(heights, { text: heights.map(String), label: "ms", labelArrow: "none" }),
      ...Object.entries(COLORS).flatMap(([work, color]) =>
        [...new Set(costs.map(({ threads }) => threads))].map((threads) =>
          Plot.lineY(
            costs.filter((cost) => cost.work === work && cost.threads === threads),
            {
              x: "at",
              y: "median",
              stroke: color,
              strokeWidth: 1.8,
              strokeDasharray: threads < most ? DASHED : "none",
            },
          ),
        ),
      ),
      Plot.dot(
        costs.filter(({ threads }) => threads === most),
        { x: "at", y: "median", fill: (cost: Cost) => COLORS[cost.work], r: 2.5 },
      ),
    ],
  });
  return figure.outerHTML;
}

/** Every other tick where there are many. */
function thinned(ticks: readonly number[]): number[] {
  return ticks.filter((_, i) => ticks.length <= 8 || i % 2 === 0);
}

/** 1, 2 and 5 times the powers of ten from below the smallest value to above the largest. */
function roundBetween(values: readonly number[]): number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const decades = Array.from({ length: 16 }, (_, i) => i - 5);
  // Negative powers are inexact: 2 * 0.1 would be shown with all its digits.
  const round = decades.flatMap((decade) => [1, 2, 5].map((digit) => Number(`${digit}e${decade}`)));
  return round.filter((value, i) => (round[i + 1] ?? value) > least && (round[i - 1] ?? value) < most);
}

function legend(costs: readonly Cost[]): string {
  const threads = [...new Set(costs.map((cost) => cost.threads))].toSorted((a, b) => b - a);
  const entries = [
    ...Object.entries(COLORS).map(([work, color]) => ({
      text: work === "training" ? "training step" : work,
      color,
      dash: "none",
    })),
    ...threads.map((count, i) => ({
      text: count === 1 ? "1 thread" : `${count} threads`,
      color: QUIET,
      dash: i === 0 ? "none" : DASHED,
    })),
  ];
  return entries
    .map(({ text, color, dash }, i) => {
      const x = 52 + 150 * i;
      return (
        `<line x1="${x}" x2="${x + 28}" y1="22" y2="22" stroke="${color}" stroke-width="2" stroke-dasharray="${dash}"/>` +
        `<text x="${x + 36}" y="26">${text}</text>`
      );
    })
    .join("");
}
