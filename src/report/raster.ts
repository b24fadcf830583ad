// Renders SVG text to PNG with fonts of its own, so that a machine without fonts draws the same picture.
import { createRequire } from "node:module";
import { renderAsync } from "@resvg/resvg-js";
import { FONT_FAMILY } from "./svg.js";

const require = createRequire(import.meta.url);
/** IBM Plex Sans (SIL Open Font License 1.1), the weights that svg.ts uses. */
const FONT_FILES = ["400Regular/IBMPlexSans_400Regular.ttf", "500Medium/IBMPlexSans_500Medium.ttf"];
/** What the font covers: Latin, Greek, Cyrillic, general punctuation, currency, letterlike, arrows, mathematical operators. */
const BEYOND_FONT = /[^\s\u0020-\u024f\u0370-\u052f\u1e00-\u1eff\u2000-\u206f\u20a0-\u22ff]/u;

/**
 * PNG bytes of an SVG document.
 * @param zoom pixels for each CSS pixel.
 */
export async function rasterize(svg: string, zoom: number): Promise<Uint8Array> {
  const image = await renderAsync(svg, {
    fitTo: { mode: "zoom", value: zoom },
    background: "#ffffff",
    font: {
      fontFiles: FONT_FILES.map((file) => require.resolve(`@expo-google-fonts/ibm-plex-sans/${file}`)),
      // Only scripts that the font lacks are worth the search for system fonts, and the differences between machines.
      loadSystemFonts: BEYOND_FONT.test(svg),
      defaultFontFamily: FONT_FAMILY,
      sansSerifFamily: FONT_FAMILY,
    },
  });
  return image.asPng();
}
