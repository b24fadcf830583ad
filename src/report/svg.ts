// Draws rows of titled images as an SVG document. Knows layout and type; nothing of models or attacks.
import { encode } from "fast-png";
import { nextTurn } from "../node/index.js";

/** 8-bit pixels, row-major `[height, width, channels]`. */
export interface Picture {
  width: number;
  height: number;
  channels: 1 | 3;
  pixels: Uint8Array;
}

export interface Panel {
  title: string;
  picture: Picture;
}

export interface FigureContent {
  /** Read aloud in place of the drawing. */
  description: string;
  /** Headings of the columns. */
  columns: readonly string[];
  rows: readonly (readonly Panel[])[];
  /** Explains colours, below the last column. */
  legend: readonly { color: string; text: string }[];
}

/** Lengths in CSS pixels. PANEL is a multiple of 28, so that images of MNIST's size are enlarged by a whole number. */
const PANEL = 196;
const MARGIN = 28;
const COLUMN_GAP = 32;
const ROW_GAP = 20;
const HEADING_HEIGHT = 22;
const TITLE_HEIGHT = 24;
/** From the base line of a title to the image below it. */
const TITLE_RISE = 8;
const LEGEND_HEIGHT = 34;
const TITLE_SIZE = 15;
const SMALL_SIZE = 12;
const SWATCH = 10;

const INK = "#1f2328";
const QUIET = "#656d76";
const FRAME = "#d0d7de";

/** Family first used; raster.ts brings its files. */
export const FONT_FAMILY = "IBM Plex Sans";
const FONTS = `'${FONT_FAMILY}', 'Segoe UI', 'Helvetica Neue', Arial, sans-serif`;

/** Size of the drawing in CSS pixels. */
export function figureSize({ rows, columns }: FigureContent): { width: number; height: number } {
  const tallest = rows.map(rowHeight);
  const images = tallest.reduce((sum, height) => sum + TITLE_HEIGHT + height + ROW_GAP, 0);
  return {
    width: 2 * MARGIN + columns.length * PANEL + (columns.length - 1) * COLUMN_GAP,
    height: MARGIN + HEADING_HEIGHT + images - ROW_GAP + LEGEND_HEIGHT + MARGIN / 2,
  };
}

/** The figure as an SVG document, images embedded as PNG. */
export async function drawFigure(content: FigureContent): Promise<string> {
  const { width, height } = figureSize(content);
  const body: string[] = [];
  content.columns.forEach((heading, column) => {
    const x = columnLeft(column) + PANEL / 2;
    body.push(text(heading, x, MARGIN + SMALL_SIZE / 2, `class="quiet" text-anchor="middle"`, SMALL_SIZE));
  });
  let top = MARGIN + HEADING_HEIGHT;
  for (const row of content.rows) {
    const imageTop = top + TITLE_HEIGHT;
    const height = rowHeight(row);
    row.forEach((panel, column) => {
      const x = columnLeft(column) + PANEL / 2;
      body.push(text(panel.title, x, imageTop - TITLE_RISE, `class="title" text-anchor="middle"`, TITLE_SIZE));
      body.push(image(panel.picture, columnLeft(column), imageTop, height));
    });
    // There may be a thousand rows.
    await nextTurn();
    top = imageTop + height + ROW_GAP;
  }
  body.push(...legend(content, top - ROW_GAP + LEGEND_HEIGHT - SMALL_SIZE / 2));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeXml(content.description)}</title>`,
    "<style>",
    `text { font-family: ${FONTS}; }`,
    `.title { font-size: ${TITLE_SIZE}px; font-weight: 500; fill: ${INK}; }`,
    `.quiet { font-size: ${SMALL_SIZE}px; fill: ${QUIET}; }`,
    "</style>",
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...body,
    "</svg>",
    "",
  ].join("\n");
}

function columnLeft(column: number): number {
  return MARGIN + column * (PANEL + COLUMN_GAP);
}

/** Size at which a picture is shown: a whole multiple where it is smaller than a panel, else shrunk to fit. */
function shownSize({ width, height }: Picture): { width: number; height: number } {
  const fit = PANEL / Math.max(width, height);
  const scale = fit >= 1 ? Math.floor(fit) : fit;
  return { width: width * scale, height: height * scale };
}

function rowHeight(row: readonly Panel[]): number {
  return Math.max(...row.map(({ picture }) => shownSize(picture).height));
}

function image(picture: Picture, left: number, top: number, height: number): string {
  const shown = shownSize(picture);
  const x = left + (PANEL - shown.width) / 2;
  const y = top + (height - shown.height) / 2;
  // Enlarged here, not by the viewer: viewers differ in whether `image-rendering` keeps pixels sharp. Twice the size shown
  // stays sharp on dense screens.
  const { pixels, ...format } =
    shown.width > picture.width ? enlarge(picture, (2 * shown.width) / picture.width) : picture;
  const data = base64(encode({ ...format, data: pixels }));
  const place = `x="${x}" y="${y}" width="${shown.width}" height="${shown.height}"`;
  return (
    `<image ${place} preserveAspectRatio="none" href="data:image/png;base64,${data}"/>\n` +
    `<rect ${place} fill="none" stroke="${FRAME}" stroke-width="1"/>`
  );
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Each pixel as a square of `factor` x `factor` pixels. */
function enlarge({ width, height, channels, pixels }: Picture, factor: number): Picture {
  const wide = width * factor;
  const line = wide * channels;
  const large = new Uint8Array(line * height * factor);
  for (let y = 0; y < height; y += 1) {
    const start = y * factor * line;
    for (let x = 0; x < wide; x += 1) {
      const from = (y * width + Math.floor(x / factor)) * channels;
      for (let channel = 0; channel < channels; channel += 1) {
        large[start + x * channels + channel] = pixels[from + channel] as number;
      }
    }
    for (let copy = 1; copy < factor; copy += 1) large.copyWithin(start + copy * line, start, start + line);
  }
  return { width: wide, height: height * factor, channels, pixels: large };
}

function legend({ columns, legend: entries }: FigureContent, baseline: number): string[] {
  const parts: string[] = [];
  let left = columnLeft(columns.length - 1);
  for (const { color, text: label } of entries) {
    const y = baseline - SWATCH + 1;
    parts.push(`<rect x="${left.toFixed(1)}" y="${y}" width="${SWATCH}" height="${SWATCH}" fill="${color}"/>`);
    parts.push(text(label, left + SWATCH + 5, baseline, `class="quiet"`, SMALL_SIZE));
    left += SWATCH + 5 + textWidth(label, SMALL_SIZE) + 6;
  }
  return parts;
}

/** A line of text, cut with an ellipsis where it would leave its column; the whole of it is its tooltip. */
function text(content: string, x: number, y: number, attributes: string, size: number): string {
  const shown = cut(content, size, PANEL + COLUMN_GAP / 2);
  const tooltip = shown === content ? "" : `<title>${escapeXml(content)}</title>`;
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${tooltip}${escapeXml(shown)}</text>`;
}

function cut(content: string, size: number, room: number): string {
  if (textWidth(content, size) <= room) return content;
  const characters = Array.from(content);
  while (characters.length > 0 && textWidth(`${characters.join("")}…`, size) > room) characters.pop();
  return `${characters.join("").trimEnd()}…`;
}

/** Width of a line, estimated on the wide side for common sans-serif faces, since the viewer may have another font. */
function textWidth(content: string, size: number): number {
  let ems = 0;
  for (const character of content) {
    if (/[ijlI.,:;'|!()[\]]/.test(character)) ems += 0.34;
    else if (/[mwMW@%…]/.test(character)) ems += 0.92;
    else if (/[A-Z]/.test(character)) ems += 0.7;
    else if (/[\u0020-\u024f]/.test(character)) ems += 0.58;
    else ems += 1.05;
  }
  return ems * size;
}

/** Escapes markup and drops what XML 1.0 does not allow at all. */
function escapeXml(content: string): string {
  const legal = content.toWellFormed().replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "");
  return legal.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
