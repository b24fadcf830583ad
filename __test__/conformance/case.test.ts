// Reading vector files: tensors of every type, and files that do not have the format.
import { describe, expect, it } from "vitest";
import { MalformedFile, readCases } from "../../conformance/case.js";

const number = { shape: [], data: [1] };
const plain = { name: "a", config: {}, inputs: {}, outputs: { y: number }, grads: {}, rtol: 1e-5, atol: 0 };
const read = (...cases: unknown[]) => readCases(JSON.stringify(cases), "some.json");
const withOutput = (y: unknown) => read({ ...plain, outputs: { y } })[0]?.outputs["y"];

describe("A vector file", () => {
  it("holds float32 numbers as decimals that read back to the same float32", () => {
    expect(withOutput({ shape: [2], data: [0.1, -3] })?.data).toEqual(Float64Array.of(Math.fround(0.1), -3));
    expect(withOutput({ shape: [1], data: [0.1], dtype: "float64" })?.data).toEqual(Float64Array.of(0.1));
  });

  it("holds as strings the numbers that JSON lacks", () => {
    const { data } = withOutput({ shape: [3], data: ["NaN", "Infinity", "-Infinity"] }) ?? {};
    expect(data).toEqual(Float64Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY));
  });

  it("holds integers and truth values as such", () => {
    expect(withOutput({ shape: [1], data: [-7], dtype: "int32" })?.data).toEqual(Float64Array.of(-7));
    expect(withOutput({ shape: [2], data: [true, false], dtype: "bool" })?.data).toEqual(Float64Array.of(1, 0));
  });

  it("may hold tensors without entries", () => {
    expect(withOutput({ shape: [0, 3], data: [] })?.shape).toEqual([0, 3]);
  });

  it("marks ties by a field and, for losses on the corner of the hinge, by name", () => {
    const ties = (fields: object) => read({ ...plain, ...fields })[0]?.ties;
    expect(ties({ ties: true })).toBe(true);
    expect(ties({ name: "hinge_n3c3_kink_m1" })).toBe(true);
    expect(ties({ name: "hinge_kinky_m1" })).toBe(false);
  });

  it("may leave out values only where the reference is wrong", () => {
    expect(read({ ...plain, outputs: {}, reference_defect: true })).toHaveLength(1);
    expect(() => read({ ...plain, outputs: {} })).toThrow(/case 0 \(a\) has no outputs/);
  });

  const broken: [string, unknown[], RegExp][] = [
    ["is no object", [7], /case 0: expected an object; given 7/],
    ["has no name", [{ ...plain, name: undefined }], /case 0 has no name/],
    ["shares its name", [plain, plain], /two cases named a/],
    ["has no tolerance", [{ ...plain, rtol: undefined }], /rtol must be a number of at least 0; given undefined/],
    ["has a negative tolerance", [{ ...plain, atol: -1 }], /atol must be a number of at least 0; given -1/],
    ["has no gradients", [{ ...plain, grads: undefined }], /grads: expected an object/],
    ["has a tensor without shape", [{ ...plain, inputs: { x: { data: [1] } } }], /inputs, x: shape is no list/],
    ["has a shape that its data does not fill", [{ ...plain, inputs: { x: { shape: [2], data: [1] } } }], /takes 2/],
    ["has an unknown type", [{ ...plain, inputs: { x: { ...number, dtype: "f16" } } }], /given "f16"/],
    [
      "has fractions among integers",
      [{ ...plain, inputs: { x: { shape: [], data: [0.5], dtype: "int32" } } }],
      /0.5 is/,
    ],
    [
      "has numbers among truth values",
      [{ ...plain, inputs: { x: { shape: [], data: [1], dtype: "bool" } } }],
      /no bool/,
    ],
    ["has text among numbers", [{ ...plain, inputs: { x: { shape: [], data: ["1"] } } }], /"1" is no float32/],
  ];
  it.each(broken)("is refused, with file and case named, when a case %s", (_, cases, message) => {
    expect(() => read(...cases)).toThrow(MalformedFile);
    expect(() => read(...cases)).toThrow(message);
    expect(() => read(...cases)).toThrow(/^some\.json/);
  });

  it("is refused when it is not JSON or not a list", () => {
    expect(() => readCases("[", "some.json")).toThrow(/some\.json is not JSON/);
    expect(() => readCases("{}", "some.json")).toThrow(/does not hold a list/);
  });
});
