// Data sets: the order of arguments, kinds of arrays, labels, places in them.
import { describe } from "vitest";
import { each, js, samples } from "./mistake.js";

const pixels = new Float32Array(8);
const big = new Uint8Array(60_000);
const labels = Array.from({ length: 60_000 }, (_, i) => i % 10);
const data = samples() as unknown as Record<
  "subset" | "select" | "batch" | "onePerClass",
  (...args: unknown[]) => unknown
>;

describe("fromArrays", () => {
  each([
    [
      "labels before the shape",
      () => js.fromArrays(big, labels, [60_000, 1, 1, 1]),
      ["EMPTY_DATASET", /shape \[0, 1, .*\(60,000 in all\)\] has no pixels; the order is images, shape, targets/],
    ],
    [
      "typed labels before the shape",
      () => js.fromArrays(big, Uint8Array.from(labels), [60_000, 1]),
      [
        "SHAPE_MISMATCH",
        /shape must be an array .*given a Uint8Array of 60,000 numbers; the order is images, shape, targets/,
      ],
    ],
    [
      "the shape first",
      () => js.fromArrays([60_000, 1], big, labels),
      ["DTYPE_MISMATCH", /given \[60000, 1\]; the order is/],
    ],
    [
      "pixels in an array",
      () => js.fromArrays(labels, [60_000, 1], labels),
      ["DTYPE_MISMATCH", /Uint8Array.*; given an array of 60,000 numbers/],
    ],
    [
      "pixels of nested arrays",
      () => js.fromArrays([[1], [2]], [2, 1], [0, 1]),
      ["DTYPE_MISMATCH", /given an array of 2 arrays/],
    ],
    [
      "pixels in a tensor",
      () => js.fromArrays(js.zeros([2, 4]), [2, 4], [0, 1]),
      ["DTYPE_MISMATCH", /given a tensor f32 \[2, 4\]/],
    ],
    [
      "pixels of 16 bits",
      () => js.fromArrays(new Uint16Array(8), [2, 4], [0, 1]),
      ["DTYPE_MISMATCH", /given a Uint16Array of 8 numbers/],
    ],
    [
      "an ArrayBuffer",
      () => js.fromArrays(new ArrayBuffer(8), [2, 4], [0, 1]),
      ["DTYPE_MISMATCH", /given an ArrayBuffer/],
    ],
    ["doubles", () => js.fromArrays(new Float64Array(8), [2, 4], [0, 1]).imageDtype, { works: "f32" }],
    ["clamped bytes", () => js.fromArrays(new Uint8ClampedArray(8), [2, 4], [0, 1]).imageDtype, { works: "u8" }],
    [
      "the shape of one image",
      () => js.fromArrays(pixels, [4], [0, 1]),
      ["SHAPE_MISMATCH", /shape must be \[n, ...shape of one image\].*given \[4\]/],
    ],
    ["a shape with -1", () => js.fromArrays(pixels, [-1, 4], [0, 1]), ["SHAPE_MISMATCH", /given \[-1, 4\]/]],
    [
      "a number for the shape",
      () => js.fromArrays(pixels, 2, [0, 1]),
      ["SHAPE_MISMATCH", /shape must be an array .*given 2/],
    ],
    [
      "a shape of another size",
      () => js.fromArrays(pixels, [2, 5], [0, 1]),
      ["SHAPE_MISMATCH", /8 pixels were given, shape \[2, 5\] needs 10/],
    ],
    ["a label too few", () => js.fromArrays(pixels, [2, 4], [0]), ["SHAPE_MISMATCH", /2 images and 1 targets/]],
    [
      "no labels",
      () => js.fromArrays(pixels, [2, 4]),
      ["INVALID_ARGUMENT", /targets must be an array of class labels.*given undefined/],
    ],
    ["labels in a Set", () => js.fromArrays(pixels, [2, 4], new Set([0, 1])), ["INVALID_ARGUMENT", /given a Set/]],
    [
      "a label that is a fraction",
      () => js.fromArrays(pixels, [2, 4], [0, 0.5]),
      ["LABEL_OUT_OF_RANGE", /labels\[1\] is 0.5; expected an integer class index/],
    ],
    [
      "labels as BigInts",
      () => js.fromArrays(pixels, [2, 4], [0n, 1n]),
      ["LABEL_OUT_OF_RANGE", /labels\[0\] is 0n \(a BigInt\)/],
    ],
    [
      "a typed array of BigInts",
      () => js.fromArrays(pixels, [2, 4], BigInt64Array.of(0n, 1n)),
      ["LABEL_OUT_OF_RANGE", /labels\[0\] is 0n \(a BigInt\)/],
    ],
    [
      "labels of two kinds",
      () => js.fromArrays(pixels, [2, 4], [0, "1"]),
      ["LABEL_OUT_OF_RANGE", /labels\[1\] is "1" \(a string\), labels\[0\] is 0/],
    ],
    [
      "a label that no class has",
      () => js.fromArrays(pixels, [2, 4], ["cat", "cow"], { classNames: ["cat", "dog"] }),
      ["LABEL_OUT_OF_RANGE", /labels\[1\] is "cow" \(a string\); expected one of "cat", "dog"/],
    ],
    [
      "a label out of very many",
      () => js.fromArrays(pixels, [2, 4], ["a", "b"], { classNames: labels.map((_, i) => `class ${i}`) }),
      ["LABEL_OUT_OF_RANGE", /expected one of "class 0", .*\(60,000 in all\)/],
    ],
    [
      "a very long label",
      () => js.fromArrays(pixels, [2, 4], ["x".repeat(1e5), "b"], { classNames: ["a", "b"] }),
      ["LABEL_OUT_OF_RANGE", /labels\[0\] is "xxx.* … .*" \(a string\)/],
    ],
    [
      "names in a text",
      () => js.fromArrays(pixels, [2, 4], [0, 1], { classNames: "cat,dog" }),
      ["INVALID_ARGUMENT", /classNames must be an array of names.*given "cat,dog" \(a string\)/],
    ],
    [
      "a number of classes for names",
      () => js.fromArrays(pixels, [2, 4], [0, 1], { classNames: 10 }),
      ["INVALID_ARGUMENT", /classNames must be .*given 10/],
    ],
    [
      "pixels that are NaN",
      () => js.fromArrays(Float32Array.of(0, Number.NaN), [2, 1], [0, 1]),
      ["NON_FINITE", /image 1 has a pixel that is NaN/],
    ],
    ["labels as texts", () => js.fromArrays(pixels, [2, 4], ["b", "a"]).classNames, { works: ["a", "b"] }],
    [
      "clamped labels",
      () => js.fromArrays(pixels, [2, 4], Uint8ClampedArray.of(0, 1)).labelsRaw,
      { works: Int32Array.of(0, 1) },
    ],
  ]);
});

describe("a data set", () => {
  each([
    [
      "a place in the place of places",
      () => data.subset(3),
      ["INVALID_ARGUMENT", /indices must be an array of places; given 3/],
    ],
    [
      "a mask",
      () => data.subset([true, false, true, false, true, false]),
      ["INVALID_ARGUMENT", /indices\[0\] is true; expected an integer from 0 to 5/],
    ],
    ["a function, as of filter", () => data.subset(() => true), ["INVALID_ARGUMENT", /given a function/]],
    [
      "a place behind the end",
      () => data.select([6]),
      ["INVALID_ARGUMENT", /indices\[0\] is 6; expected an integer from 0 to 5/],
    ],
    ["a place before the beginning", () => data.select([-1]), ["INVALID_ARGUMENT", /indices\[0\] is -1/]],
    ["a batch by a text", () => data.batch("0"), ["INVALID_ARGUMENT", /batch "0" \(a string\) of a data set/]],
    [
      "a batch behind the end",
      () => data.batch(2, 4),
      ["INVALID_ARGUMENT", /batch 2 of a data set that has 2 batches of 4; expected 0 to 1/],
    ],
    [
      "batches of 0",
      () => data.batch(0, 0),
      ["INVALID_ARGUMENT", /the size of a batch must be a positive integer; given 0/],
    ],
    [
      "no model to classify",
      () => data.onePerClass({ among: 5 }),
      ["INVALID_ARGUMENT", /onePerClass takes a Module, then options; given \{ among \}/],
    ],
  ]);
});

describe("files of data sets", () => {
  each([
    [
      "a file that is not there",
      () => js.fromIdx("/none/images", "/none/labels"),
      ["IO", /\/none\/\w+ cannot be read/],
    ],
    [
      "an address of the web",
      () => js.fromIdx(new URL("https://example.org/x"), "y"),
      ["INVALID_ARGUMENT", /a path, a file URL or a Uint8Array; given https:/],
    ],
    ["nothing", () => js.fromIdx(), ["INVALID_ARGUMENT", /a path, a file URL or a Uint8Array; given undefined/]],
    [
      "bytes of another format",
      () => js.readIdx(Uint8Array.of(0x89, 0x50, 0x4e, 0x47)),
      ["INVALID_FILE", /byte 0: 0x89 where an IDX file has 0x00/],
    ],
    [
      "a folder that is not there",
      () => js.datasets.mnist({ dir: "/none" }),
      ["IO", /dir is \/none, where no file of MNIST is/],
    ],
  ]);
});
