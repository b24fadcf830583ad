// The figure of an attack: what it says, what it draws, and that it needs no fonts of the machine.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "fast-png";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { composeFigure, type FigureParts } from "../../src/report/compose.js";
import { rasterize } from "../../src/report/node/raster.js";
import { figureOf } from "../../src/report/node/save.js";
import { drawFigure, type FigureContent, figureSize, type Picture } from "../../src/report/svg.js";

const grey = (width: number, height: number): Picture => ({
  width,
  height,
  channels: 1,
  pixels: Uint8Array.from({ length: width * height }, (_, i) => i % 256),
});

function content(rows: number, title: string, picture = grey(28, 28)): FigureContent {
  const panel = { title, picture };
  return {
    description: "d",
    columns: ["Original", "Adversarial", "Difference"],
    rows: Array.from({ length: rows }, () => [panel, panel, panel]),
    legend: [{ color: "#ff0000", text: "less light" }],
  };
}

/** One 2 x 2 image: the attack takes .125 from the first pixel, gives .25 to the last. */
function parts(more: Partial<FigureParts> = {}): FigureParts {
  return {
    shape: [1, 1, 2, 2],
    before: Float32Array.of(0.5, 0, 1, 0.25),
    after: Float32Array.of(0.375, 0, 1, 0.5),
    predicted: [1],
    predictedAfter: [0],
    classNames: ["T-shirt/top", "Ankle <boot> & co"],
    radii: [0.0904],
    distances: undefined,
    bounds: [0, 1],
    ...more,
  };
}

describe("the content of a figure", () => {
  test("titles are the predicted class, the adversarial's class, certificate and distance", () => {
    const [row] = composeFigure(parts()).rows;
    // sqrt(.125^2 + .25^2) = .2795
    expect(row?.map(({ title }) => title)).toEqual(["Ankle <boot> & co", "T-shirt/top", "certif: 0.090, obs: 0.28"]);
  });

  test("the difference is red where light was taken and green where it was added, divided by its maximum", () => {
    const [row] = composeFigure(parts()).rows;
    expect([...(row?.[2]?.picture.pixels ?? [])]).toEqual([128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0]);
  });

  test("an image that the attack left alone has a black difference", () => {
    const { before } = parts();
    const [row] = composeFigure(parts({ after: before })).rows;
    expect(row?.[2]?.picture.pixels.every((value) => value === 0)).toBe(true);
    expect(row?.[2]?.title).toBe("certif: 0.090, obs: 0.00");
  });

  test("a failed attack and an absent certificate are called none", () => {
    const [row] = composeFigure(parts({ radii: undefined, distances: [Number.POSITIVE_INFINITY] })).rows;
    expect(row?.[2]?.title).toBe("certif: none, obs: none");
  });

  test("colour images are turned to channels last, within the bounds", () => {
    const before = Float32Array.of(-1, 1, 0, 3);
    const planes = Float32Array.of(...before, ...before, 1, 1, 1, 1);
    const [row] = composeFigure(parts({ shape: [1, 3, 2, 2], before: planes, after: planes, bounds: [-1, 1] })).rows;
    expect([...(row?.[0]?.picture.pixels ?? [])]).toEqual([0, 0, 255, 255, 255, 255, 128, 128, 255, 255, 255, 255]);
  });
});

describe("the drawing", () => {
  test("keeps every title inside its own column, however long, with the whole of it as tooltip", async () => {
    const long = "American Staffordshire terrier, Staffordshire terrier, American pit bull terrier";
    const svg = await drawFigure(content(1, long));
    expect(svg).toContain(`<title>${long}</title>`);
    expect(svg).toMatch(/>American Staffordshire…<\/text>/);
  });

  test("escapes markup and drops what XML does not allow", async () => {
    const svg = await drawFigure(content(1, `<a href="x">&'\u0000\ud800`));
    expect(svg).toContain("&#60;a href=&#34;x&#34;&#62;&#38;&#39;\ufffd</text>");
  });

  test("enlarges pixels to squares of one colour", async () => {
    const svg = await drawFigure(content(1, "t", { width: 2, height: 1, channels: 1, pixels: Uint8Array.of(10, 200) }));
    const png = /base64,([^"]+)"/.exec(svg)?.[1] ?? "";
    const { width, height, data } = decode(Buffer.from(png, "base64"));
    expect(new Set(data.slice(0, width / 2))).toEqual(new Set([10]));
    expect(new Set(data.slice(width / 2, width))).toEqual(new Set([200]));
    expect(width).toBe(2 * height);
  });

  test.each([1, 10, 20])("of %d rows has images that do not overlap and lie inside the page", async (rows) => {
    const figure = content(rows, "t");
    const { width, height } = figureSize(figure);
    const boxes = [
      ...(await drawFigure(figure)).matchAll(/<image x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g),
    ].map((match) => match.slice(1).map(Number) as [number, number, number, number]);
    expect(boxes.length).toBe(3 * rows);
    boxes.forEach(([x, y, w, h], i) => {
      expect(x >= 0 && y >= 0 && x + w <= width && y + h <= height).toBe(true);
      for (const [x2, y2, w2, h2] of boxes.slice(i + 1)) {
        expect(x + w <= x2 || x2 + w2 <= x || y + h <= y2 || y2 + h2 <= y).toBe(true);
      }
    });
  });

  test.each([
    [500, 380],
    [20, 30],
    [1, 1],
    [196, 3],
  ])("fits images of %d x %d into their panels", async (width, height) => {
    const svg = await drawFigure(content(1, "t", grey(width, height)));
    const [, w, h] = /<image [^>]*width="([\d.]+)" height="([\d.]+)"/.exec(svg) ?? [];
    expect(Math.max(Number(w), Number(h))).toBeLessThanOrEqual(196);
    expect(Number(w) / Number(h)).toBeCloseTo(width / height, 10);
  });
});

describe("saving", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tslip-figure-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("writes SVG or PNG by the extension and leaves no temporary file", async () => {
    const figure = figureOf(async () => content(2, "Sandal"));
    await figure.save(join(folder, "a.svg"));
    await figure.save(join(folder, "a.PNG"));
    expect((await readdir(folder)).sort()).toEqual(["a.PNG", "a.svg"]);
    expect(await readFile(join(folder, "a.svg"), "utf8")).toBe(await figure.toSvg());
    const { width, height } = decode(await readFile(join(folder, "a.PNG")));
    const size = figureSize(content(2, "Sandal"));
    expect([width, height]).toEqual([2 * size.width, 2 * size.height]);
  });

  test("refuses another extension before anything is computed", async () => {
    let composed = 0;
    const figure = figureOf(async () => {
      composed += 1;
      return content(1, "t");
    });
    await expect(figure.save(join(folder, "a.jpg"))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    for (const path of [5, undefined, new URL("file:///tmp/a.png")]) {
      await expect(Reflect.apply(figure.save, figure, [path])).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
    expect(composed).toBe(0);
  });

  test("a folder that does not exist is an error that names the path", async () => {
    const path = join(folder, "nowhere", "a.svg");
    const saving = figureOf(async () => content(1, "t")).save(path);
    await expect(saving).rejects.toMatchObject({ code: "IO", message: expect.stringContaining(path) });
  });

  test("titles are drawn without any font of the machine", async () => {
    const ink = async (title: string) => {
      const { data, channels } = decode(await rasterize(await drawFigure(content(1, title)), 1));
      let dark = 0;
      for (let i = 0; i < data.length; i += channels) if ((data[i] ?? 255) < 128) dark += 1;
      return dark;
    };
    // The font covers Latin, so system fonts are not loaded; titles of 12 letters leave well over this many dark pixels.
    expect((await ink("Wide Pullover")) - (await ink(""))).toBeGreaterThan(300);
  });
});
