// Data sets: what they refuse, and what they hand out.
import { describe, expect, test } from "vitest";
import { type Classifier, Dataset, fromArrays, fromIdx } from "../../src/data/index.js";
import { idxBytes } from "./idx-bytes.js";

const CLASSES = ["cat", "dog", "owl"];
/** Six 1 x 2 images: image i has pixels 10 i and 255 - 10 i. */
const pixels = Uint8Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? 5 * i : 255 - 5 * (i - 1)));
const labels = [0, 1, 0, 2, 1, 2];
const make = () => fromArrays(pixels, [6, 1, 1, 2], labels, { classNames: CLASSES });

/** Answers with a fixed class for each image in turn. */
function answering(classes: number[]): Classifier {
  let next = 0;
  return {
    classify: async (images) => {
      const count = images.shape[0] ?? 0;
      next += count;
      return classes.slice(next - count, next);
    },
  };
}

describe("fromArrays", () => {
  test("keeps images, labels, shape and names, and copies what it is given", () => {
    const own = pixels.slice();
    const set = fromArrays(own, [6, 1, 1, 2], labels, { classNames: CLASSES });
    own.fill(0);
    expect(set.length).toBe(6);
    expect(set.shape).toEqual([1, 1, 2]);
    expect(set.classNames).toEqual(CLASSES);
    expect(set.imageDtype).toBe("u8");
    expect(set.imagesRaw).toEqual(pixels);
    expect(set.labelsRaw).toEqual(Int32Array.from(labels));
  });

  test("names classes by number where they have no names", () => {
    expect(fromArrays(pixels, [6, 2], labels).classNames).toEqual(["0", "1", "2"]);
  });

  test.each([
    ["an empty data set", () => fromArrays(new Uint8Array(0), [0, 1, 2], []), "EMPTY_DATASET"],
    ["images without pixels", () => fromArrays(new Uint8Array(0), [1, 0, 2], [0]), "EMPTY_DATASET"],
    ["too few pixels", () => fromArrays(pixels, [6, 1, 1, 3], labels), "SHAPE_MISMATCH"],
    ["a shape without image axes", () => fromArrays(pixels, [12], labels), "SHAPE_MISMATCH"],
    ["a fractional dimension", () => fromArrays(pixels, [6, 2.5], labels), "SHAPE_MISMATCH"],
    ["more labels than images", () => fromArrays(pixels, [6, 2], [...labels, 0]), "SHAPE_MISMATCH"],
    [
      "a label beyond the classes",
      () => fromArrays(pixels, [6, 2], labels, { classNames: ["cat"] }),
      "LABEL_OUT_OF_RANGE",
    ],
    ["a negative label", () => fromArrays(pixels, [6, 2], [0, 1, -1, 0, 0, 0]), "LABEL_OUT_OF_RANGE"],
    ["a fractional label", () => fromArrays(pixels, [6, 2], [0, 1, 1.5, 0, 0, 0]), "LABEL_OUT_OF_RANGE"],
    ["a label that is NaN", () => fromArrays(pixels, [6, 2], [0, 1, Number.NaN, 0, 0, 0]), "LABEL_OUT_OF_RANGE"],
    ["a pixel that is NaN", () => fromArrays(Float32Array.of(0, Number.NaN), [1, 2], [0]), "NON_FINITE"],
    ["an infinite pixel", () => fromArrays(Float32Array.of(0, Number.POSITIVE_INFINITY), [1, 2], [0]), "NON_FINITE"],
    [
      "pixels in integers of 16 bits",
      () => Reflect.apply(fromArrays, undefined, [new Uint16Array(2), [1, 2], [0]]),
      "DTYPE_MISMATCH",
    ],
    ["a double beyond float32", () => fromArrays(Float64Array.of(0, 1e300), [1, 2], [0]), "NON_FINITE"],
    ["no labels", () => Reflect.apply(fromArrays, undefined, [pixels, [6, 2], undefined]), "INVALID_ARGUMENT"],
    [
      "a nameless class",
      () => Reflect.apply(fromArrays, undefined, [pixels, [6, 2], labels, { classNames: ["a", 1, "b"] }]),
      "INVALID_ARGUMENT",
    ],
  ])("refuses %s", (_, call, code) => {
    expect(call).toThrow(expect.objectContaining({ name: "TslipError", code }));
  });

  test("names the element that is wrong", () => {
    expect(() => fromArrays(pixels, [6, 2], [0, 1, -3, 0, 0, 0])).toThrow(/labels\[2\] is -3/);
    expect(() => fromArrays(Float32Array.of(0, 1, 2, Number.NaN), [2, 2], [0, 1])).toThrow(/image 1 .*element 3/);
  });
});

describe("Dataset", () => {
  test("batches scale u8 by 1/255, keep the order, and end with what is left", async () => {
    const { images, labels: of } = make().batch(1, 4);
    expect(images.shape).toEqual([2, 1, 1, 2]);
    expect(of).toEqual(Int32Array.of(1, 2));
    expect(await images.data()).toEqual(Float32Array.of(40 / 255, 215 / 255, 50 / 255, 205 / 255));
  });

  test("batches use f32 pixels as they are", async () => {
    const set = fromArrays(Float32Array.of(-1.5, 300), [1, 2], [0]);
    expect(await set.batch(0).images.data()).toEqual(Float32Array.of(-1.5, 300));
  });

  test.each([
    [-1, 4],
    [2, 4],
    [0.5, 4],
    [0, 0],
    [0, Number.NaN],
  ])("refuses batch %d of size %d", (i, size) => {
    expect(() => make().batch(i, size)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("a subset has the chosen images in the chosen order and all class names", () => {
    const subset = make().subset([5, 0, 5]);
    expect(subset.length).toBe(3);
    expect(subset.labelsRaw).toEqual(Int32Array.of(2, 0, 2));
    expect(subset.imagesRaw).toEqual(Uint8Array.of(50, 205, 0, 255, 50, 205));
    expect(subset.classNames).toEqual(CLASSES);
  });

  test("a subset of nothing or from outside is refused", () => {
    expect(() => make().subset([])).toThrow(expect.objectContaining({ code: "EMPTY_DATASET" }));
    for (const index of [-1, 6, 1.5, Number.NaN]) {
      expect(() => make().subset([0, index])).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    }
  });

  test("onePerClass gives the first well classified image of each class in class order", async () => {
    const { images, labels: found, indices } = await make().onePerClass(answering([1, 1, 0, 0, 0, 2]));
    expect(indices).toEqual(Int32Array.of(2, 1, 5));
    expect(found).toEqual(Int32Array.of(0, 1, 2));
    expect((await images.data()).length).toBe(6);
  });

  test("onePerClass looks at the first `among` images alone, and names the classes it did not find", async () => {
    const perfect = answering(labels);
    await expect(make().onePerClass(perfect, { among: 2 })).rejects.toThrow(/first 2 for class owl/);
    await expect(make().onePerClass(answering([1, 0, 1, 1, 0, 0]))).rejects.toThrow(/classes cat, dog, owl/);
  });

  test("onePerClass finds a class that comes late in a long data set", async () => {
    const long = Int32Array.from({ length: 3000 }, (_, i) => (i === 2999 ? 1 : 0));
    const set = new Dataset(new Uint8Array(3000), [3000, 1], long);
    expect((await set.onePerClass(answering([...long]))).indices).toEqual(Int32Array.of(0, 2999));
  });
});

describe("fromIdx", () => {
  test("reads grey images as one channel and colour images as they are", async () => {
    const grey = await fromIdx(idxBytes(8, [2, 3, 4], new Uint8Array(24)), idxBytes(8, [2], [0, 1]));
    expect(grey.shape).toEqual([1, 3, 4]);
    const colour = await fromIdx(idxBytes(8, [2, 3, 2, 2], new Uint8Array(24)), idxBytes(8, [2], [0, 1]));
    expect(colour.shape).toEqual([3, 2, 2]);
  });

  test("reads images of doubles as the nearest floats", async () => {
    const doubles = new DataView(new ArrayBuffer(16));
    [0.1, 0.7].forEach((pixel, i) => doubles.setFloat64(8 * i, pixel));
    const set = await fromIdx(idxBytes(14, [2, 1, 1], new Uint8Array(doubles.buffer)), idxBytes(8, [2], [0, 1]));
    expect(set.imagesRaw).toEqual(Float32Array.of(0.1, 0.7));
  });

  test("refuses files that do not belong together, or of another type or rank", async () => {
    const images = idxBytes(8, [2, 1, 1], [0, 0]);
    const failing = [
      [images, idxBytes(8, [3], [0, 0, 0]), "SHAPE_MISMATCH"],
      [images, images, "INVALID_FILE"],
      [idxBytes(8, [2], [0, 0]), idxBytes(8, [2], [0, 0]), "INVALID_FILE"],
      [idxBytes(9, [2, 1, 1], [0, 0]), idxBytes(8, [2], [0, 0]), "INVALID_FILE"],
      [images, idxBytes(13, [2], new Uint8Array(8)), "INVALID_FILE"],
      [images, idxBytes(9, [2], [0, 0xff]), "LABEL_OUT_OF_RANGE"],
      [idxBytes(8, [0, 1, 1], []), idxBytes(8, [0], []), "EMPTY_DATASET"],
    ] as const;
    for (const [first, second, code] of failing) await expect(fromIdx(first, second)).rejects.toMatchObject({ code });
  });
});
