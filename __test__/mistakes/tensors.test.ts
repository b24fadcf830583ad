// Tensors: what they are made of, shapes and axes, operands, states, compiled functions.
import { compile, type Tensor, zeros } from "tslip";
import { describe } from "vitest";
import { each, js } from "./mistake.js";

const x = js.zeros([2, 3]);

describe("making tensors", () => {
  each([
    [
      "extents one by one, as in PyTorch",
      () => js.zeros(2, 3),
      ["INVALID_ARGUMENT", /a shape is an array of whole numbers >= 0, such as \[2, 3\]; given 2/],
    ],
    ["a shape as a text", () => js.ones("2,3"), ["INVALID_ARGUMENT", /given "2,3" \(a string\)/]],
    ["a shape of texts", () => js.rand(["2", "3"]), ["INVALID_ARGUMENT", /given \["2", "3"\]/]],
    ["a shape below 0", () => js.zeros([-1, 3]), ["INVALID_ARGUMENT", /given \[-1, 3\]/]],
    [
      "a shape of very many",
      () => js.zeros(Array.from({ length: 1e5 }, () => 1.5)),
      ["INVALID_ARGUMENT", /given an array of 100,000 numbers/],
    ],
    ["nothing", () => js.tensor(), ["INVALID_ARGUMENT", /a tensor holds numbers or booleans; given undefined/]],
    ["a text", () => js.tensor("123"), ["INVALID_ARGUMENT", /numbers or booleans; given "123" \(a string\)/]],
    ["BigInts", () => js.tensor([1n, 2n]), ["INVALID_ARGUMENT", /numbers or booleans; given 1n \(a BigInt\)/]],
    [
      "a typed array of BigInts",
      () => js.tensor(BigInt64Array.of(1n)),
      ["DTYPE_MISMATCH", /given a BigInt64Array of 1 numbers/],
    ],
    ["null among numbers", () => js.tensor([1, null]), ["INVALID_ARGUMENT", /given null/]],
    ["a tensor of tensors", () => js.tensor([x, x]), ["INVALID_ARGUMENT", /given a tensor f32 \[2, 3\]/]],
    [
      "a fraction as an integer",
      () => js.tensor([0.5], [1], { dtype: "i32" }),
      ["DTYPE_MISMATCH", /value 0.5 at position 0 is no i32/],
    ],
    [
      "a cast to PyTorch's type",
      () => x.cast("float"),
      ["INVALID_ARGUMENT", /dtype must be "f32", "i32", "u8" or "bool"; given "float"/],
    ],
    ["a range without end", () => js.arange(), ["INVALID_ARGUMENT", /arange needs finite bounds/]],
    [
      "a range of texts",
      () => js.arange("5"),
      ["INVALID_ARGUMENT", /arange needs finite bounds .*given .*"5" \(a string\)/],
    ],
    [
      "a text for a scalar",
      () => js.scalar("5"),
      ["INVALID_ARGUMENT", /a tensor or a number is needed; given "5" \(a string\)/],
    ],
    [
      "rows of an identity as an array",
      () => js.eye([3, 3]),
      ["INVALID_ARGUMENT", /rows of eye must be a whole number >= 0; given \[3, 3\]/],
    ],
    [
      "sizes of a matrix as an array",
      () => js.orthogonal([3, 3]),
      ["INVALID_ARGUMENT", /rows of orthogonal must be .*given \[3, 3\]/],
    ],
    [
      "a seed for all as a text",
      () => js.manualSeed("1"),
      ["INVALID_ARGUMENT", /a seed is a whole number.*given "1" \(a string\)/],
    ],
    ["a state of an array", () => js.state([1, 2]), ["INVALID_ARGUMENT", /a state takes tensors; given \[1, 2\]/]],
  ]);
});

describe("methods of tensors", () => {
  each([
    [
      "a text as an operand",
      () => x.add("5"),
      ["INVALID_ARGUMENT", /a tensor or a number is needed; given "5" \(a string\)/],
    ],
    [
      "an array as an operand",
      () => x.add([1, 2, 3]),
      ["INVALID_ARGUMENT", /a tensor or a number is needed; given \[1, 2, 3\]/],
    ],
    ["a BigInt as an operand", () => x.mul(2n), ["INVALID_ARGUMENT", /given 2n \(a BigInt\)/]],
    ["no operand", () => x.sub(), ["INVALID_ARGUMENT", /given undefined/]],
    [
      "a promise as an operand",
      () => x.add(Promise.resolve(1)),
      ["INVALID_ARGUMENT", /given a Promise, which has to be awaited first/],
    ],
    ["shapes that do not broadcast", () => x.add(js.zeros([2])), ["SHAPE_MISMATCH", /\[2, 3\]/]],
    [
      "a shape to reshape to as a text",
      () => x.reshape("6"),
      ["INVALID_ARGUMENT", /reshape takes an array of whole numbers, of which one may be -1; given "6" \(a string\)/],
    ],
    ["extents of reshape one by one", () => x.reshape(3, 2), ["INVALID_ARGUMENT", /reshape takes an array .*given 3/]],
    ["two open extents", () => x.reshape([-1, -1]), ["SHAPE_MISMATCH", /cannot reshape 6 elements to \[-1, -1\]/]],
    ["a reshape to another size", () => x.reshape([4, 2]), ["SHAPE_MISMATCH", /\[4, 2\]|8/]],
    [
      "axes of permute one by one",
      () => x.permute(1, 0),
      ["INVALID_ARGUMENT", /axes of permute are an array of numbers, one an axis; given 1/],
    ],
    [
      "PyTorch's dim in a record",
      () => x.sum({ dim: 1 }),
      ["INVALID_ARGUMENT", /axes are a number or an array of numbers; given \{ dim \}/],
    ],
    [
      "an axis as a text",
      () => x.mean("0"),
      ["INVALID_ARGUMENT", /axes are a number or an array of numbers; given "0" \(a string\)/],
    ],
    [
      "an axis that there is not",
      () => x.max(2),
      ["INVALID_ARGUMENT", /axis 2 does not exist in a tensor of rank 2; expected a whole number from -2 to 1/],
    ],
    ["an axis of a fraction", () => x.argmax(0.5), ["INVALID_ARGUMENT", /axis 0.5 does not exist/]],
    [
      "an axis of a number",
      () => js.scalar(1).softmax(0),
      ["INVALID_ARGUMENT", /axis 0 does not exist in a tensor of rank 0; .*it has none/],
    ],
    ["an axis twice", () => x.sum([0, 0]), ["INVALID_ARGUMENT", /axes \[0, 0\] name an axis twice/]],
    [
      "a matrix as arrays",
      () => x.matmul([[1], [2], [3]]),
      ["INVALID_ARGUMENT", /matmul takes tensors; given an array of 3 arrays/],
    ],
    ["matrices that do not fit", () => x.matmul(x), ["SHAPE_MISMATCH", /\[2, 3\]/]],
    [
      "a slice by numbers",
      () => x.slice(0, 1),
      ["INVALID_ARGUMENT", /slice takes arrays of positions, one an axis; given 0/],
    ],
    [
      "a state and its value, of many",
      () => js.assignAll([js.state(js.zeros([])), js.zeros([])]),
      ["INVALID_ARGUMENT", /array of pairs \[state, value\]/],
    ],
    ["arrays to join with", () => x.concat([[1]]), ["INVALID_ARGUMENT", /concat takes tensors; given \[1\]/]],
    [
      "an array to sort in groups",
      () => js.functional.groupSort([1, 2], 2),
      ["INVALID_ARGUMENT", /GroupSort takes tensors; given \[1, 2\]/],
    ],
    [
      "an array to normalize",
      () => js.functional.frobeniusNormalization([[1]]),
      ["INVALID_ARGUMENT", /frobeniusNormalization takes tensors/],
    ],
    ["indices as an array", () => x.gather([0]), ["INVALID_ARGUMENT", /gather takes tensors; given \[0\]/]],
    [
      "tensors to join one by one",
      () => js.concat(x, x),
      ["INVALID_ARGUMENT", /concat needs an array of at least one tensor; given a tensor f32 \[2, 3\]/],
    ],
    ["tensors to stack one by one", () => js.stack(x, x), ["INVALID_ARGUMENT", /given a tensor f32 \[2, 3\]/]],
    ["nothing to join", () => js.concat([]), ["INVALID_ARGUMENT", /at least one tensor; given \[\]/]],
    [
      "no number of classes",
      () => js.tensor(Int32Array.of(0)).oneHot(),
      ["INVALID_ARGUMENT", /classes of oneHot must be a whole number >= 1; given undefined/],
    ],
    [
      "item() of many",
      () => x.item(),
      ["SHAPE_MISMATCH", /item\(\) needs exactly one element; this tensor has shape \[2, 3\]/],
    ],
    ["where of an array", () => js.where([true], 1, 0), ["INVALID_ARGUMENT", /where takes tensors; given \[true\]/]],
    [
      "a value for a state of another shape",
      () => js.assign(js.state(js.zeros([2])), js.zeros([3])),
      ["SHAPE_MISMATCH", /state has shape \[2\]; assigned \[3\]/],
    ],
    [
      "a number for a state",
      () => js.assign(js.state(js.zeros([])), 5),
      ["INVALID_ARGUMENT", /assign takes tensors; given 5/],
    ],
    [
      "a tensor for a state",
      () => js.assign(js.zeros([]), js.zeros([])),
      ["INVALID_ARGUMENT", /assign takes a state, then its value; given a tensor f32 \[\]/],
    ],
  ]);
});

describe("compiled functions", () => {
  const inside = (fn: (x: Tensor) => unknown) => () => compile(fn)(zeros([2]));
  let leaked: Tensor | undefined;
  each([
    [
      "no function",
      () => js.compile(zeros([2])),
      ["INVALID_ARGUMENT", /compile takes a function of tensors; given a tensor f32 \[2\]/],
    ],
    ["an async function", inside(async (x) => x), ["TRACE", /must not be async.*remove async and await/]],
    ["a number as result", inside(() => 5), ["TRACE", /it returned 5, which would be the same on every call/]],
    ["item() inside", inside((x) => x.sum().item()), ["TRACE", /item\(\) of a symbolic tensor/]],
    ["data() inside", inside((x) => x.data()), ["TRACE", /data\(\) of a symbolic tensor/]],
    [
      "a compiled function inside",
      inside((x) => compile((y: Tensor) => y).sync(x)),
      ["TRACE", /symbolic tensor|another function was being traced/],
    ],
    [
      "an array as argument",
      () => js.compile((x: Tensor) => x)([1, 2]),
      ["INVALID_ARGUMENT", /argument 0 of a compiled function must be a tensor; given \[1, 2\]; wrap data with tensor/],
    ],
    ["a number as argument", () => js.compile((x: Tensor) => x)(5), ["INVALID_ARGUMENT", /argument 0 .*given 5/]],
    [
      "a description before the first call",
      () => compile((x: Tensor) => x).explain(),
      ["TRACE", /explain\(\) describes the last call/],
    ],
    [
      "a tensor that has left",
      async () => {
        await compile((x: Tensor) => {
          leaked = x.add(1);
          return x;
        })(zeros([2]));
        return leaked?.add(1);
      },
      ["TRACE", /tensor of another trace/],
    ],
    ["a state made inside", inside((x) => js.state(x)), ["TRACE", /a state was made from a symbolic tensor/]],
  ]);
});
