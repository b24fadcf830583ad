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

/** A regression with so many numbers a sample. */
const fitNumbers = (width: number, options: object) => {
  const [model, data] = [new js.Linear(4, width), Array.from({ length: 6 * width }, (_, i) => 0.5 - i)];
  const dataset = js.fromArrays(new Float32Array(24), [6, 4], { data, shape: [6, width] });
  return js.fit(model, dataset, { ...good(), loss: new js.MSELoss(), ...options });
};

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
      "a callback that stands twice",
      () => {
        const twice = new js.EMA();
        return fit({ callbacks: [twice, { onEpochEnd() {} }, twice] })();
      },
      [
        "INVALID_ARGUMENT",
        /callbacks\[0\] and callbacks\[2\] are the same object, an EMA.*give it once, or make another/,
      ],
    ],
    [
      "a metric that was not called",
      fit({ metrics: { acc: js.accuracy } }),
      ["INVALID_ARGUMENT", /given a tensor f32 \[3, 3\]; call it: what accuracy\(\) returns is meant here/],
    ],
    [
      "a regularizer that was not called",
      fit({ regularizers: [js.regularizers.orthogonal] }),
      ["INVALID_ARGUMENT", /given a Sequential; call it: what regularizers\.orthogonal\(\) returns is meant/],
    ],
    [
      "weights of samples as texts",
      fit({ sampleWeights: Array(6).fill("2") }),
      ["INVALID_ARGUMENT", /sampleWeights must be 6 numbers.*that of sample 0 is "2" \(a string\)/],
    ],
    [
      "weights of samples as flags",
      fit({ sampleWeights: [1, 1, true, 1, 1, 1] }),
      ["INVALID_ARGUMENT", /that of sample 2 is true/],
    ],
    [
      "weights of samples that are missing",
      fit({ sampleWeights: [1, null, 1, 1, 1, 1] }),
      ["INVALID_ARGUMENT", /that of sample 1 is null/],
    ],
    [
      "weights of samples with a hole",
      // biome-ignore lint/suspicious/noSparseArray: what is tried.
      fit({ sampleWeights: [1, 1, , 1, 1, 1] }),
      ["INVALID_ARGUMENT", /that of sample 2 is undefined/],
    ],
    [
      "weights of samples as BigInts",
      fit({ sampleWeights: BigInt64Array.of(1n, 1n, 1n, 1n, 1n, 1n) }),
      ["INVALID_ARGUMENT", /that of sample 0 is 1n \(a BigInt\)/],
    ],
    [
      "a weight that float32 has not",
      fit({ sampleWeights: [1, 1, 1, 1e39, 1, 1] }),
      ["INVALID_ARGUMENT", /that of sample 3 is 1e\+39/],
    ],
    [
      "weights of classes in a regression",
      () => fitNumbers(1, { classWeights: [1, 2] }),
      [
        "LABEL_OUT_OF_RANGE",
        /classWeights are for targets that name classes \(.*sampleWeights\): targets are 0 and 1, .*given 0\.5/,
      ],
    ],
    [
      "weights of classes in a regression of several numbers",
      () => fitNumbers(3, { classWeights: [1, 2, 1] }),
      ["LABEL_OUT_OF_RANGE", /classWeights are for targets that name classes.*: rows are probabilities.*given -0\.5/],
    ],
    [
      "labels that begin at 1",
      () => js.fit(dense(), js.fromArrays(new Float32Array(12), [3, 4], [1, 2, 3]), good()),
      [
        "LABEL_OUT_OF_RANGE",
        /sample 2 is 3; 3 logits are for labels from 0 to 2; those given begin at 1: subtract 1 from each$/,
      ],
    ],
    [
      "a stray label",
      () => js.fit(dense(), js.fromArrays(new Float32Array(12), [3, 4], [0, 2, 3]), good()),
      ["LABEL_OUT_OF_RANGE", /labels from 0 to 2 \(with ignoreIndex: 3 such samples do not count\)$/],
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
