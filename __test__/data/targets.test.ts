// Targets of a data set: labels of any kind mapped to class indices once, numbers of any shape, and what is neither.
import { type Dataset, fromArrays, type Targets, TslipError, tensor } from "tslip";
import { describe, expect, test } from "vitest";

const make = (targets: Targets, classNames?: readonly (string | number | boolean)[]): Dataset =>
  fromArrays(new Uint8Array(8), [4, 2], targets, classNames === undefined ? {} : { classNames });

describe("class labels", () => {
  const mapped: [string, Targets, (string | number | boolean)[] | undefined, number[], string[]][] = [
    ["integers from 0", [2, 0, 1, 2], undefined, [2, 0, 1, 2], ["0", "1", "2"]],
    ["integers of named classes", Uint8Array.of(2, 0, 0, 2), ["a", "b", "c"], [2, 0, 0, 2], ["a", "b", "c"]],
    ["numbers that are listed", [7, 3, 3, 7], [3, 7], [1, 0, 0, 1], ["3", "7"]],
    ["numbers in an order of their own", Int16Array.of(7, 3, 3, 7), [7, 3], [0, 1, 1, 0], ["7", "3"]],
    ["fractions that are listed", [0.5, 1.5, 0.5, 0.5], [0.5, 1.5], [0, 1, 0, 0], ["0.5", "1.5"]],
    ["-1 and +1", [-1, 1, 1, -1], undefined, [0, 1, 1, 0], ["-1", "1"]],
    ["-1 alone", Int8Array.of(-1, -1, -1, -1), undefined, [0, 0, 0, 0], ["-1", "1"]],
    ["strings, sorted", ["dog", "cat", "dog", "ant"], undefined, [2, 1, 2, 0], ["ant", "cat", "dog"]],
    ["strings that are listed", ["dog", "cat", "dog", "cat"], ["dog", "cat"], [0, 1, 0, 1], ["dog", "cat"]],
    ["booleans", [true, false, true, true], undefined, [1, 0, 1, 1], ["false", "true"]],
    ["booleans of named classes", [true, false, true, true], ["no", "yes"], [1, 0, 1, 1], ["no", "yes"]],
    ["booleans that are listed", [true, false, true, true], [true, false], [0, 1, 0, 0], ["true", "false"]],
    ["a tensor of integers", tensor(Int32Array.of(1, 0, 1, 1)), undefined, [1, 0, 1, 1], ["0", "1"]],
    ["-1 and +1 of named classes", [-1, 1, 1, -1], ["no", "yes"], [0, 1, 1, 0], ["no", "yes"]],
    ["+1 alone of named classes", [1, 1, 1, 1], ["no", "yes"], [1, 1, 1, 1], ["no", "yes"]],
    ["-1 and +1 that are listed", [-1, 1, 1, -1], [1, -1], [1, 0, 0, 1], ["1", "-1"]],
    ["plain integers with a shape", { data: [1, 0, 1, 1], shape: [4] }, undefined, [1, 0, 1, 1], ["0", "1"]],
    ["integers with a shape", { data: Int32Array.of(1, 0, 1, 1), shape: [4] }, undefined, [1, 0, 1, 1], ["0", "1"]],
  ];
  test.each(mapped)("%s become indices", (_, targets, classNames, indices, names) => {
    const set = make(targets, classNames);
    expect(set.target).toEqual({ dtype: "i32", shape: [] });
    expect(set.labelsRaw).toEqual(Int32Array.from(indices));
    expect(set.targetsRaw).toEqual(Int32Array.from(indices));
    expect(set.classNames).toEqual(names);
  });

  test("keep their indices and names in a subset and in batches", async () => {
    const set = make(["dog", "cat", "dog", "ant"]);
    const some = set.subset([3, 0]);
    expect(some.labelsRaw).toEqual(Int32Array.of(0, 2));
    expect(some.classNames).toEqual(["ant", "cat", "dog"]);
    expect(make([-1, 1, 1, -1]).subset([1]).labelsRaw).toEqual(Int32Array.of(1));
    const { targets, labels } = set.batch(1, 3);
    expect(labels).toEqual(Int32Array.of(0));
    expect([targets.dtype, targets.shape, await targets.data()]).toEqual(["i32", [1], Int32Array.of(0)]);
  });

  const refused: [string, Targets, (string | number | boolean)[] | undefined, string, RegExp][] = [
    [
      "a string that is not listed",
      ["cat", "cow", "cat", "cat"],
      ["cat", "dog"],
      "LABEL_OUT_OF_RANGE",
      /labels\[1\] is "cow" \(a string\); expected one of "cat", "dog"/,
    ],
    [
      "a number that is not listed",
      [3, 7, 5, 3],
      [3, 7],
      "LABEL_OUT_OF_RANGE",
      /labels\[2\] is 5; expected one of 3, 7/,
    ],
    [
      "labels of two kinds",
      [1, "1", 1, 1] as Targets,
      undefined,
      "LABEL_OUT_OF_RANGE",
      /labels\[1\] is "1" \(a string\), labels\[0\] is 1/,
    ],
    ["-1 beside 0", [-1, 0, 1, 1], undefined, "LABEL_OUT_OF_RANGE", /labels\[0\] is -1/],
    ["-1 of three named classes", [-1, 1, 1, 1], ["a", "b", "c"], "LABEL_OUT_OF_RANGE", /labels\[0\] is -1/],
    [
      "fractions with a shape",
      { data: [0.5, 1, 0, 0], shape: [4] },
      undefined,
      "LABEL_OUT_OF_RANGE",
      /labels\[0\] is 0.5.*Float32Array/,
    ],
    ["fractions", [0.5, 1, 0, 0], undefined, "LABEL_OUT_OF_RANGE", /labels\[0\] is 0.5.*Float32Array/],
    [
      "a name that stands twice",
      ["a", "b", "a", "a"],
      ["a", "b", "a"],
      "INVALID_ARGUMENT",
      /classNames 0 and 2 both are "a"/,
    ],
    ["names of two kinds", ["a", "b", "a", "a"], ["a", 1], "INVALID_ARGUMENT", /classNames\[1\] is 1/],
    ["a name that is NaN", [1, 1, 1, 1], [Number.NaN], "INVALID_ARGUMENT", /classNames\[0\] is NaN/],
    ["too few labels", ["a", "b"], undefined, "SHAPE_MISMATCH", /4 images and 2 targets/],
    [
      "what is no array",
      3 as unknown as Targets,
      undefined,
      "INVALID_ARGUMENT",
      /Float32Array, nested arrays, a tensor/,
    ],
    [
      "nothing",
      null as unknown as Targets,
      undefined,
      "INVALID_ARGUMENT",
      /targets must be an array of class labels.*; given null/,
    ],
    ["objects", [{}, {}, {}, {}] as unknown as Targets, undefined, "LABEL_OUT_OF_RANGE", /labels\[0\] is/],
  ];
  test.each(refused)("refuse %s", (_, targets, classNames, code, text) => {
    expect(refusal(() => make(targets, classNames)).code).toBe(code);
    expect(refusal(() => make(targets, classNames)).message).toMatch(text);
  });
});

describe("labels that are ignoreIndex", () => {
  const of = (targets: Targets, ignoreIndex: number, classNames?: readonly (string | number | boolean)[]): Dataset =>
    fromArrays(new Uint8Array(8), [4, 2], targets, {
      ignoreIndex,
      ...(classNames === undefined ? {} : { classNames }),
    });
  const kept: [string, Targets, number, (string | number | boolean)[] | undefined, number[], string[]][] = [
    ["integers", [2, -100, 1, 0], -100, undefined, [2, -100, 1, 0], ["0", "1", "2"]],
    ["bytes", Uint8Array.of(255, 0, 1, 255), 255, undefined, [255, 0, 1, 255], ["0", "1"]],
    ["a tensor", tensor(Int32Array.of(0, 9, 1, 1)), 9, undefined, [0, 9, 1, 1], ["0", "1"]],
    ["integers among which it is a class", [0, 2, 1, 3], 2, undefined, [0, 2, 1, 3], ["0", "1", "2", "3"]],
    ["integers of named classes", [1, -1, 0, 1], -1, ["a", "b"], [1, -1, 0, 1], ["a", "b"]],
    ["1 and -1, of which that is no code", [1, -1, 1, 1], -1, undefined, [1, -1, 1, 1], ["0", "1"]],
    ["numbers that are listed", [7, -100, 3, 7], -100, [3, 7], [1, -100, 0, 1], ["3", "7"]],
    ["strings", ["b", -100, "a", "b"], -100, undefined, [1, -100, 0, 1], ["a", "b"]],
    ["booleans", [-100, true, false, true], -100, undefined, [-100, 1, 0, 1], ["false", "true"]],
  ];
  test.each(kept)(
    "stay what they are among %s, and name no class",
    (_, targets, ignoreIndex, classNames, indices, names) => {
      const set = of(targets, ignoreIndex, classNames);
      expect(set.labelsRaw).toEqual(Int32Array.from(indices));
      expect(set.classNames).toEqual(names);
      expect(set.ignoreIndex).toBe(ignoreIndex);
      const some = set.subset([1, 2]);
      expect([some.labelsRaw, some.classNames, some.ignoreIndex]).toEqual([
        Int32Array.from(indices.slice(1, 3)),
        names,
        ignoreIndex,
      ]);
    },
  );

  const refused: [string, () => Dataset, string, RegExp][] = [
    [
      "where they are another's place in a list",
      () => of([7, 3, 3, 7], 1, [3, 7]),
      "INVALID_ARGUMENT",
      /ignoreIndex 1 is the index of the label 7/,
    ],
    ["where both codes have their place", () => of([1, -1, 0, 1], 0), "INVALID_ARGUMENT", /index of the label -1/],
    ["beside others that are no class", () => of([0, -100, -1, 1], -100), "LABEL_OUT_OF_RANGE", /labels\[2\] is -1/],
    ["of numbers", () => of(Float32Array.of(1, 2, 3, 4), -1), "INVALID_ARGUMENT", /is for class labels.*shape \[4\]/],
    ["that are no integers", () => of([0, 1, 0, 1], 0.5), "INVALID_ARGUMENT", /ignoreIndex must be an integer/],
    ["beyond 32 bits", () => of([0, 1, 0, 1], 2 ** 31), "INVALID_ARGUMENT", /ignoreIndex must be an integer/],
  ];
  test.each(refused)("are refused %s", (_, call, code, text) => {
    expect(refusal(call).code).toBe(code);
    expect(refusal(call).message).toMatch(text);
  });

  test("are named where they are refused without it", () => {
    expect(refusal(() => make([0, -100, 1, 0])).message).toMatch(/labels\[1\] is -100; .* ignoreIndex/);
  });

  test("are no images of a class", async () => {
    const classifier = { classify: async () => [0, 2, 1, 2] };
    const { labels } = await of([0, 2, 1, 3], 2, ["a", "b", "void", "c"]).onePerClass(classifier, {
      skipMissing: true,
    });
    expect(labels).toEqual(Int32Array.of(0, 1));
    const all = of([0, -100, 1, 0], -100).onePerClass({ classify: async () => [0, 0, 1, 0] });
    expect((await all).labels).toEqual(Int32Array.of(0, 1));
  });
});

describe("classes are the same", () => {
  const digits = Array.from({ length: 12 }, (_, i) => String(i));
  const of = (targets: Targets, classNames?: readonly string[]): Dataset =>
    fromArrays(
      new Uint8Array((targets as unknown[]).length),
      [(targets as unknown[]).length, 1],
      targets,
      classNames === undefined ? {} : { classNames },
    );
  const pairs: [string, boolean, Dataset, Dataset][] = [
    ["strings and fewer strings, the last missing", true, of(["0", "1", "2"]), of(["0", "1"])],
    ["strings that are digits, and others that lack the first", false, of(["0", "1", "2"]), of(["1", "2"])],
    ["strings that are digits sorted as text, and integers", false, of(digits), of([...digits.keys()])],
    ["a part of them, and integers", false, of(digits).subset([...digits.keys()]), of([...digits.keys()])],
    ["strings that are digits in the order of numbers, and integers", true, of(digits, digits), of([3, 0, 11])],
    ["strings, and integers", false, of(["a", "b"]), of([0, 1])],
    ["named integers, and integers", true, of([0, 1], ["a", "b"]), of([0, 1])],
    ["named integers, and a part of integers", true, of([0, 1], ["a", "b"]), of([0, 1, 2]).subset([0, 1])],
    ["named integers, and strings of these names", true, of([0, 1], ["a", "b"]), of(["b", "a"])],
    ["named integers, and others", false, of([0, 1], ["a", "b"]), of([0, 1], ["b", "a"])],
    ["booleans, and integers", true, of([true, false]), of([0, 1])],
    ["-1 and +1, and integers", true, of([-1, 1]), of([0, 1])],
    [
      "numbers that are listed, and integers",
      false,
      fromArrays(new Uint8Array(2), [2, 1], [3, 7], { classNames: [3, 7] }),
      of([0, 1]),
    ],
  ];
  test.each(pairs)("of %s: %s", (_, same, one, other) => {
    expect([one.sameClasses(other), other.sameClasses(one)]).toEqual([same, same]);
  });
});

describe("numbers", () => {
  const eight = [0, 1, 1, 0, 0.5, 2, -1, 3];
  const kept: [string, Targets, number[], number[]][] = [
    ["one a sample", Float32Array.of(0.5, -1, 2, 0), [], [0.5, -1, 2, 0]],
    ["doubles", Float64Array.of(0.1, 1, 2, 3), [], [Math.fround(0.1), 1, 2, 3]],
    [
      "nested arrays",
      [
        [0, 1],
        [1, 0],
        [0.5, 2],
        [-1, 3],
      ],
      [2],
      eight,
    ],
    [
      "deeper ones",
      [
        [[0], [1]],
        [[1], [0]],
        [[0.5], [2]],
        [[-1], [3]],
      ],
      [2, 1],
      eight,
    ],
    [
      "rows of booleans",
      [
        [true, false],
        [false, false],
        [true, true],
        [false, true],
      ],
      [2],
      [1, 0, 0, 0, 1, 1, 0, 1],
    ],
    ["data with a shape", { data: Float32Array.from(eight), shape: [4, 1, 2] }, [1, 2], eight],
    ["plain data with a shape of rows", { data: [1, 0, 1, 1], shape: [4, 1] }, [1], [1, 0, 1, 1]],
    ["floats with a shape", { data: Float32Array.of(1, 0, 1, 1), shape: [4] }, [], [1, 0, 1, 1]],
    ["integer rows", { data: Uint8Array.of(1, 0, 1, 1), shape: [4, 1] }, [1], [1, 0, 1, 1]],
    ["a tensor", tensor(eight, [4, 2]), [2], eight],
  ];
  test.each(kept)("given as %s are kept as float32", (_, targets, shape, values) => {
    const set = make(targets);
    expect(set.target).toEqual({ dtype: "f32", shape });
    expect(set.targetsRaw).toEqual(Float32Array.from(values));
    expect(set.labelsRaw).toEqual(new Int32Array(0));
    expect(set.classNames).toEqual([]);
  });

  test("keep their rows in a subset and in batches, and the names of their columns", async () => {
    const set = make(tensor(eight, [4, 2]), ["red", "round"]);
    const some = set.subset([3, 0]);
    expect(some.targetsRaw).toEqual(Float32Array.of(-1, 3, 0, 1));
    expect(some.classNames).toEqual(["red", "round"]);
    const { targets, labels } = set.batch(1, 3);
    expect(labels).toEqual(new Int32Array(0));
    expect([targets.dtype, targets.shape, await targets.data()]).toEqual(["f32", [1, 2], Float32Array.of(-1, 3)]);
  });

  test("are copied", () => {
    const values = Float32Array.of(1, 2, 3, 4);
    const set = make(values);
    values.fill(0);
    expect(set.targetsRaw).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  test("have no classes of which to take one image each", async () => {
    const classifier = { classify: async () => [0, 0, 0, 0] };
    const found = make(Float32Array.of(1, 2, 3, 4)).onePerClass(classifier);
    await expect(found).rejects.toThrow(/needs a class label for each image; the targets are f32 \[\]/);
  });

  const refused: [string, Targets, string[] | undefined, string, RegExp][] = [
    ["NaN", Float32Array.of(0, 1, Number.NaN, 2), undefined, "NON_FINITE", /sample 2 has NaN \(element 2\)/],
    ["doubles beyond float32", Float64Array.of(0, 1e39, 1, 2), undefined, "NON_FINITE", /sample 1 has 1e\+39/],
    [
      "infinite rows",
      [
        [0, 1],
        [0, 1],
        [0, 1],
        [0, Number.POSITIVE_INFINITY],
      ],
      undefined,
      "NON_FINITE",
      /sample 3/,
    ],
    ["rows of two lengths", [[0, 1], [0], [0, 1], [0, 1]], undefined, "SHAPE_MISMATCH", /./],
    ["rows and numbers", [[0, 1], 1, [0, 1], [0, 1]] as unknown as Targets, undefined, "SHAPE_MISMATCH", /./],
    [
      "empty rows",
      { data: new Float32Array(0), shape: [4, 0] },
      undefined,
      "EMPTY_DATASET",
      /\[4, 0\] have no numbers/,
    ],
    ["no rows", { data: new Float32Array(0), shape: [0, 2] }, undefined, "EMPTY_DATASET", /./],
    [
      "as many numbers as two a sample without a shape",
      new Float32Array(8),
      undefined,
      "SHAPE_MISMATCH",
      /4 images and 8 targets/,
    ],
    ["a shape of another size", { data: new Float32Array(8), shape: [4, 3] }, undefined, "SHAPE_MISMATCH", /./],
    [
      "a name for other columns",
      tensor(eight, [4, 2]),
      ["red"],
      "INVALID_ARGUMENT",
      /1 classNames for targets of shape \[4, 2\]/,
    ],
    ["names of single numbers", Float32Array.of(1, 2, 3, 4), ["a", "b"], "INVALID_ARGUMENT", /one for each column/],
    ["a single number", tensor(3), undefined, "SHAPE_MISMATCH", /./],
  ];
  test.each(refused)("refuse %s", (_, targets, classNames, code, text) => {
    const { code: given, message } = refusal(() => make(targets, classNames));
    expect(given).toBe(code);
    expect(message).toMatch(text);
  });
});

function refusal(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof TslipError) return { code: error.code, message: error.message };
    throw error;
  }
  return { code: "nothing thrown", message: "" };
}
