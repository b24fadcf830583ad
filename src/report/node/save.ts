// A figure that is composed when first asked for, and written as SVG or PNG.
import { extname } from "node:path";
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { writeInOneStep } from "../../node/index.js";
import { drawFigure, type FigureContent, figureSize } from "../svg.js";
import { rasterize } from "./raster.js";

export interface AdversarialFigure {
  /** The figure as an SVG document. */
  toSvg(): Promise<string>;
  /**
   * Writes the figure, as PNG or SVG by the extension of `path`, under a temporary name first.
   * @throws TslipError INVALID_ARGUMENT for another extension and for a PNG of more images than a picture can hold, IO where it cannot be written.
   */
  save(path: string): Promise<void>;
}

/** A figure taller than this in pixels is drawn at one pixel a CSS pixel instead of two. */
const MAX_HEIGHT = 6000;
/** No picture of pixels can be taller. */
const MAX_SIDE = 32_767;

/** A figure of what `compose` gives, called at most once. */
export function figureOf(compose: () => Promise<FigureContent>): AdversarialFigure {
  let composed: Promise<FigureContent> | undefined;
  const content = () => {
    composed ??= compose();
    return composed;
  };
  return {
    async toSvg() {
      return await drawFigure(await content());
    },
    async save(path) {
      if (typeof path !== "string") {
        throw new TslipError("INVALID_ARGUMENT", `the path of a figure is a text; given ${describe(path)}`);
      }
      const extension = extname(path).toLowerCase();
      if (extension !== ".png" && extension !== ".svg") {
        throw new TslipError(
          "INVALID_ARGUMENT",
          `${String(path)}: a figure is saved as .png or .svg; give a path that ends with either`,
        );
      }
      const figure = await content();
      const { height } = figureSize(figure);
      if (extension === ".png" && height > MAX_SIDE) {
        throw new TslipError(
          "INVALID_ARGUMENT",
          `a PNG of ${figure.rows.length} images would be ${height} pixels tall, above ${MAX_SIDE}; give fewer images, or end the path with .svg`,
        );
      }
      const svg = await drawFigure(figure);
      if (extension === ".svg") return writeInOneStep(path, svg);
      const zoom = 2 * height <= MAX_HEIGHT ? 2 : 1;
      return writeInOneStep(path, await rasterize(svg, zoom));
    },
  };
}
