// Training: fit and evaluate.
import { CrossEntropyLoss, SGD, type Tensor, zeros } from "tslip";
import { describe } from "vitest";
import { dense, each, js, samples } from "./mistake.js";

const good = () => ({
  epochs: 1,
  batchSize: 3,
  loss: new CrossEntropyLoss(),
  optimizer: new SGD({ lr: 0.1 }),
  verbose: false,
});
const fit = (options: object) => () => js.fit(dense(), samples(), { ...good(), ...options });

describe("fit", () => {
  each([
    [
      "a data set first",
      () => js.fit(samples(), dense(), good()),
      ["INVALID_ARGUMENT", /fit takes a Module, a Dataset and options; the first argument is a Dataset/],
    ],
    [
      "arrays for a data set",
      () => js.fit(dense(), [[1, 2, 3, 4]], good()),
      ["INVALID_ARGUMENT", /the second is an array of 1 arrays; make it with fromArrays\(\)/],
    ],
    [
      "both parts of a data set",
      () => js.fit(dense(), { train: samples(), test: samples() }, good()),
      ["INVALID_ARGUMENT", /the second is \{ train, test \}/],
    ],
    [
      "a data set that is not awaited",
      () => js.fit(dense(), Promise.resolve(samples()), good()),
      ["INVALID_ARGUMENT", /the second is a Promise, which has to be awaited first/],
    ],
    [
      "no options",
      () => js.fit(dense(), samples()),
      ["INVALID_ARGUMENT", /fit takes its options as a record \{ epochs, .*given undefined/],
    ],
    [
      "no epochs",
      fit({ epochs: undefined }),
      ["INVALID_ARGUMENT", /epochs must be a positive integer; given undefined/],
    ],
    [
      "no batch size",
      fit({ batchSize: undefined }),
      ["INVALID_ARGUMENT", /batchSize must be a positive integer; given undefined/],
    ],
    [
      "epochs as a text",
      fit({ epochs: "10" }),
      ["INVALID_ARGUMENT", /epochs must be a positive integer; given "10" \(a string\)/],
    ],
    ["a batch of 0", fit({ batchSize: 0 }), ["INVALID_ARGUMENT", /batchSize must be a positive integer; given 0/]],
    [
      "Keras's name of a loss",
      fit({ loss: "categorical_crossentropy" }),
      ["INVALID_ARGUMENT", /loss must have forward\(outputs, targets\).*given "categorical_crossentropy" \(a string\)/],
    ],
    [
      "a function for a loss",
      fit({ loss: js.functional.crossEntropy }),
      ["INVALID_ARGUMENT", /loss must have forward.*given the function crossEntropy/],
    ],
    ["a class for a loss", fit({ loss: CrossEntropyLoss }), ["INVALID_ARGUMENT", /given the class CrossEntropyLoss/]],
    ["no loss", fit({ loss: undefined }), ["INVALID_ARGUMENT", /loss must have .*given undefined/]],
    [
      "Keras's name of an optimizer",
      fit({ optimizer: "adam" }),
      ["INVALID_ARGUMENT", /optimizer must be one such as new Adam.*given "adam" \(a string\)/],
    ],
    ["a class for an optimizer", fit({ optimizer: SGD }), ["INVALID_ARGUMENT", /given the class SGD/]],
    [
      "names of metrics",
      fit({ metrics: ["accuracy"] }),
      ["INVALID_ARGUMENT", /metrics are a record of functions by name.*given \["accuracy"\]/],
    ],
    [
      "metrics in an array",
      fit({ metrics: [js.accuracy()] }),
      ["INVALID_ARGUMENT", /metrics are a record .*given an array of 1 functions/],
    ],
    [
      "a metric for metrics",
      fit({ metrics: js.accuracy() }),
      ["INVALID_ARGUMENT", /metrics are a record .*given a function/],
    ],
    [
      "a metric that was not called",
      fit({ metrics: { acc: js.accuracy } }),
      ["INVALID_ARGUMENT", /accuracy\(\) takes its options as a record .*given a tensor f32 \[3, 3\]/],
    ],
    [
      "a metric by its name",
      fit({ metrics: { acc: "accuracy" } }),
      ["INVALID_ARGUMENT", /metric acc must be a function, as accuracy\(\) gives one; given "accuracy"/],
    ],
    [
      "a metric called loss",
      fit({ metrics: { loss: js.accuracy() } }),
      ["INVALID_ARGUMENT", /a metric cannot be called loss/],
    ],
    [
      "a metric with a value a sample",
      fit({ metrics: { all: (outputs: Tensor) => outputs.sum(1) } }),
      ["SHAPE_MISMATCH", /all must be a scalar f32 tensor, it is a tensor f32 \[3\]; reduce it with mean\(\)/],
    ],
    [
      "a metric that is a number",
      fit({ metrics: { one: () => 1 } }),
      ["SHAPE_MISMATCH", /one must be a scalar f32 tensor, it is 1/],
    ],
    [
      "a loss that is not reduced",
      fit({ loss: new CrossEntropyLoss({ reduction: "none" }) }),
      ["SHAPE_MISMATCH", /loss must be a scalar f32 tensor, it is a tensor f32 \[3\]/],
    ],
    [
      "a share for validation, as in Keras",
      fit({ validation: 0.2 }),
      ["INVALID_ARGUMENT", /validation must be a Dataset; given 0.2/],
    ],
    [
      "a function for a schedule",
      fit({ schedule: () => 0.1 }),
      ["INVALID_ARGUMENT", /schedule must have at\(step\), as a StepLR has; given /],
    ],
    [
      "a callback alone",
      fit({ callbacks: { onEpochEnd: () => undefined } }),
      ["INVALID_ARGUMENT", /callbacks must be an array of objects.*given \{ onEpochEnd \}/],
    ],
    [
      "functions for callbacks",
      fit({ callbacks: [() => undefined] }),
      ["INVALID_ARGUMENT", /callbacks\[0\] must be an object such as \{ onEpochEnd \}; given a function/],
    ],
    [
      "a callback that is called by no such name",
      fit({ callbacks: [{ onEpochEnded() {} }] }),
      ["INVALID_ARGUMENT", /callbacks\[0\] has no option "onEpochEnded"; did you mean "onEpochEnd"/],
    ],
    [
      "a callback that is no function",
      fit({ callbacks: [{ onEpochEnd: 5 }] }),
      ["INVALID_ARGUMENT", /onEpochEnd of callbacks\[0\] must be a function; given 5/],
    ],
    [
      "a callback's class",
      fit({ callbacks: [js.EMA] }),
      ["INVALID_ARGUMENT", /callbacks\[0\] must be an object such as \{ onEpochEnd \}; given the class EMA/],
    ],
    [
      "PyTorch's limit of gradients",
      fit({ gradientClip: 1 }),
      ["INVALID_ARGUMENT", /gradientClip must be \{ norm \} or \{ value \}, one of them; given 1/],
    ],
    [
      "an augmentation alone",
      fit({ augment: js.randomFlip() }),
      ["INVALID_ARGUMENT", /augment must be a list such as \[randomFlip\(\), randomCrop/],
    ],
    [
      "an augmentation that was not called",
      fit({ augment: [js.randomFlip] }),
      ["INVALID_ARGUMENT", /augment must be a list.*given an array of 1 functions/],
    ],
    [
      "an optimizer as a callback",
      fit({ callbacks: [new js.Adam()] }),
      ["INVALID_ARGUMENT", /callbacks\[0\] has none of onEpochStart/],
    ],
    [
      "a flag as a text",
      fit({ shuffle: "false" }),
      ["INVALID_ARGUMENT", /shuffle must be true or false; given "false" \(a string\)/],
    ],
    ["a seed as a text", fit({ seed: "1" }), ["INVALID_ARGUMENT", /seed must be an integer; given "1" \(a string\)/]],
    [
      "PyTorch's device",
      fit({ device: "cuda" }),
      ["UNKNOWN_DEVICE", /there is no device "cuda" \(a string\); expected "auto", "cpu", "gpu" or "gpu:N"/],
    ],
    [
      "images of another size",
      () => js.fit(dense(), js.fromArrays(new Float32Array(10), [2, 5], [0, 1]), { ...good(), batchSize: 2 }),
      ["SHAPE_MISMATCH", /layer 0 \(SpectralLinear\): this layer takes \[n, 4\]; given \[2, 5\]/],
    ],
    [
      "a step size that is a text later",
      () => Object.assign(new SGD({ lr: 0.1 }), { lr: "0.01" }),
      ["INVALID_ARGUMENT", /lr must be finite and at least 0; given "0.01" \(a string\)/],
    ],
  ]);
});

describe("evaluate", () => {
  each([
    [
      "a data set first",
      () => js.evaluate(samples(), dense()),
      ["INVALID_ARGUMENT", /evaluate takes a Module, a Dataset and options; the first argument is a Dataset/],
    ],
    [
      "images for a data set",
      () => js.evaluate(dense(), zeros([2, 4])),
      ["INVALID_ARGUMENT", /then a Dataset, .*the second is a tensor f32 \[2, 4\]/],
    ],
    [
      "a metric for options",
      () => js.evaluate(dense(), samples(), js.accuracy()),
      ["INVALID_ARGUMENT", /evaluate takes its options as a record .*given a function/],
    ],
    [
      "a function for a loss",
      () => js.evaluate(dense(), samples(), { loss: js.functional.crossEntropy }),
      ["INVALID_ARGUMENT", /loss must have forward.*given the function crossEntropy/],
    ],
    ["nothing to measure", () => js.evaluate(dense(), samples()), { works: {} }],
  ]);
});
