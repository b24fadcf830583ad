// Renders SVG text to PNG with fonts of its own, so that a machine without fonts draws the same picture.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { rasterizeSvg } from "../../native.js";
import { FONT_FAMILY } from "../svg.js";

const require = createRequire(import.meta.url);
/** IBM Plex Sans (SIL Open Font License 1.1), the weights that svg.ts uses. */
const FONT_FILES = ["400Regular/IBMPlexSans_400Regular.ttf", "500Medium/IBMPlexSans_500Medium.ttf"];
/** What the font covers: Latin, Greek, Cyrillic, general punctuation, currency, letterlike, arrows, mathematical operators. */
const BEYOND_FONT = /[^\s\u0020-\u024f\u0370-\u052f\u1e00-\u1eff\u2000-\u206f\u20a0-\u22ff]/u;

let fonts: Promise<Uint8Array[]> | undefined;

/**
 * PNG bytes of an SVG document.
 * @param zoom pixels for each CSS pixel.
 */
export async function rasterize(svg: string, zoom: number): Promise<Uint8Array> {
  fonts ??= Promise.all(
    FONT_FILES.map((file) => readFile(require.resolve(`@expo-google-fonts/ibm-plex-sans/${file}`))),
  );
  // Only scripts that the font lacks are worth the search for system fonts, and the differences between machines.
  return await rasterizeSvg(svg, { zoom, fonts: await fonts, family: FONT_FAMILY, systemFonts: BEYOND_FONT.test(svg) });
}
