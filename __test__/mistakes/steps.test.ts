// Losses, metrics, gradients and optimizers in steps of one's own.
import { CrossEntropyLoss, Module, SGD, type Tensor, zeros } from "tslip";
import { describe } from "vitest";
import { dense, each, js } from "./mistake.js";

const logits = js.zeros([2, 3]);
const good = () => ({
  epochs: 1,
  batchSize: 3,
  loss: new CrossEntropyLoss(),
  optimizer: new SGD({ lr: 0.1 }),
  verbose: false,
});

describe("losses", () => {
  const cross = js.functional.crossEntropy;
  each([
    [
      "arrays for logits",
      () => cross([[1, 2]], [0]),
      [
        "INVALID_ARGUMENT",
        /a loss or metric takes tensors; given an array of 1 arrays; make one with tensor\(data, shape\)/,
      ],
    ],
    ["an array for labels", () => cross(logits, [0, 1]), ["INVALID_ARGUMENT", /given \[0, 1\]/]],
    [
      "typed labels",
      () => cross(logits, Int32Array.of(0, 1)),
      ["INVALID_ARGUMENT", /given an Int32Array of 2 numbers/],
    ],
    ["no labels", () => cross(logits), ["INVALID_ARGUMENT", /given undefined/]],
    [
      "a promise of logits",
      () => cross(dense().predict(zeros([1, 4])), js.tensor([0])),
      ["INVALID_ARGUMENT", /given a Promise, which has to be awaited first/],
    ],
    [
      "labels as floats",
      () => cross(logits, js.tensor([0, 1])),
      ["SHAPE_MISMATCH", /integer class indices.*given f32 \[2\]/],
    ],
    [
      "labels before logits",
      () => cross(js.tensor(Int32Array.of(0, 1)), logits),
      ["SHAPE_MISMATCH", /needs logits of shape \[n, classes\].*given \[2\]/],
    ],
    [
      "labels of another batch",
      () => cross(logits, js.tensor(Int32Array.of(0, 1, 2))),
      ["SHAPE_MISMATCH", /given i32 \[3\]/],
    ],
    [
      "labels in a column",
      () => cross(logits, js.tensor(Int32Array.of(0, 1), [2, 1])),
      ["SHAPE_MISMATCH", /given i32 \[2, 1\]/],
    ],
    [
      "outputs in a column, numbers in a row",
      () => js.functional.meanSquaredError(js.zeros([3, 1]), js.zeros([3])),
      ["SHAPE_MISMATCH", /outputs \[3, 1\].*given f32 \[3\]/],
    ],
    [
      "a layer for options",
      () => new js.CrossEntropyLoss(new js.Flatten()),
      ["INVALID_ARGUMENT", /as a record \{ labelSmoothing, .*given a Flatten/],
    ],
    [
      "a step of a schedule as a text",
      () => new js.StepLR({ lr: 1, stepSize: 1 }).at("5"),
      ["INVALID_ARGUMENT", /step must be a whole number >= 0; given "5" \(a string\)/],
    ],
    [
      "no alpha",
      () => new js.HKRMulticlassLoss({ minMargin: 1 }),
      ["INVALID_ARGUMENT", /alpha must be a number of at least 0, or Infinity; given undefined/],
    ],
    [
      "an alpha that means two losses",
      () => new js.HKRMulticlassLoss({ alpha: 0.9 }),
      ["INVALID_ARGUMENT", /alpha 0.9 can mean two losses/],
    ],
    [
      "a margin below 0",
      () => new js.HingeMulticlassLoss({ minMargin: -1 }),
      ["INVALID_ARGUMENT", /minMargin must be finite and at least 0; given -1/],
    ],
    [
      "smoothing in percent",
      () => new js.CrossEntropyLoss({ labelSmoothing: 10 }),
      ["INVALID_ARGUMENT", /labelSmoothing must be from 0 to 1; given 10/],
    ],
    [
      "a metric of arrays",
      () => js.accuracy()([[1, 2]], [0]),
      ["INVALID_ARGUMENT", /takes tensors; given an array of 1 arrays/],
    ],
    [
      "binary accuracy of classes",
      () => js.binaryAccuracy()(logits, js.tensor(Int32Array.of(0, 1))),
      ["SHAPE_MISMATCH", /one logit a sample.*given \[2, 3\]/],
    ],
  ]);
});

describe("steps of one's own", () => {
  class Hidden extends Module {
    readonly #weight = new js.Parameter(js.zeros([4]));
    forward(x: Tensor): Tensor {
      return x.mul(this.#weight as unknown as Tensor);
    }
  }
  const optimizer = new js.SGD({ lr: 0.1 });
  const parameters = dense().parameters();
  each([
    [
      "a model for parameters",
      () => optimizer.update(dense(), []),
      ["INVALID_ARGUMENT", /update\(\) takes an array of parameters, as model.parameters\(\).*given a Sequential/],
    ],
    ["no gradients", () => optimizer.update(parameters), ["INVALID_ARGUMENT", /update\(\) takes .*given undefined/]],
    [
      "a gradient too few",
      () => optimizer.update(parameters, []),
      ["INVALID_ARGUMENT", /was given 4 parameters and 0 gradients/],
    ],
    [
      "JAX's grad of a function",
      () => js.grad((x: unknown) => x, js.zeros([1])),
      ["INVALID_ARGUMENT", /grad takes tensors; given a function/],
    ],
    [
      "one tensor to differentiate by",
      () => js.grad(js.zeros([]), js.zeros([1])),
      ["INVALID_ARGUMENT", /then an array of tensors; given a tensor f32 \[1\]/],
    ],
    [
      "a loss that is not reduced",
      () => js.grad(js.zeros([2]), [js.zeros([2])]),
      ["SHAPE_MISMATCH", /grad needs a 0-d f32 loss; given f32 of shape \[2\]; reduce it/],
    ],
    [
      "a parameter in a private field",
      () => js.fit(new Hidden(), js.fromArrays(new Float32Array(8), [2, 4], [0, 1]), { ...good(), batchSize: 2 }),
      ["INVALID_ARGUMENT", /which no parameters\(\) lists: keep it in a field/],
    ],
    [
      "a tensor for a loop",
      () => js.loop(js.zeros([1]), { steps: 3 }),
      ["INVALID_ARGUMENT", /loop takes a function, then its options; given a tensor f32 \[1\]/],
    ],
    [
      "no number of steps",
      () => js.loop(() => zeros([]), {}),
      ["INVALID_ARGUMENT", /steps must be a whole number >= 1; given undefined/],
    ],
    [
      "a function for until",
      () => js.loop(() => zeros([]), { steps: 1, until: () => true }),
      ["INVALID_ARGUMENT", /until must be a 0-d bool state.*given a function|given the function until/],
    ],
    [
      "a table without values",
      () => js.loop(() => zeros([]), { steps: 1, tables: [{ state: js.state(js.zeros([])) }] }),
      ["INVALID_ARGUMENT", /the table of state is undefined for 1 steps/],
    ],
    [
      "a table of texts",
      () => js.loop(() => zeros([]), { steps: 2, tables: [{ state: js.state(js.zeros([])), values: [1, "2"] }] }),
      ["INVALID_ARGUMENT", /values of the table of .* must be numbers; element 1 is "2" \(a string\)/],
    ],
    [
      "a table of BigInts",
      () => js.loop(() => zeros([]), { steps: 1, tables: [{ state: js.state(js.zeros([])), values: [1n] }] }),
      ["INVALID_ARGUMENT", /element 0 is 1n \(a BigInt\)/],
    ],
    [
      "a table by name",
      () => js.loop(() => zeros([]), { steps: 1, tables: { lr: [1] } }),
      ["INVALID_ARGUMENT", /tables must be a list of \{ state, values \}.*given \{ lr \}/],
    ],
  ]);
});
