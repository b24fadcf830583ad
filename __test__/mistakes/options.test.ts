// Options: every object of options refuses names that it does not know, and says which it knows.
import { scalar } from "tslip";
import { describe } from "vitest";
import { dense, each, js, type Mistake, samples } from "./mistake.js";

const x = js.tensor([
  [1, 2],
  [3, 4],
]);
const ids = js.tensor(Int32Array.of(0, 1));
const good = () => ({
  epochs: 1,
  batchSize: 3,
  loss: new js.CrossEntropyLoss(),
  optimizer: new js.SGD({ lr: 0.1 }),
  verbose: false,
});
const images = () => js.zeros([1, 4]);

/** An option written as elsewhere, or wrongly; the nearest that there is. */
const unknown = (name: string, make: () => unknown, nearest: string): Mistake => [
  name,
  make,
  ["INVALID_ARGUMENT", new RegExp(`has no option "\\w+"; did you mean "(${nearest})"\\? It takes `)],
];

/** An option that means something else: none is suggested in its place. */
const stray = (name: string, make: () => unknown): Mistake => [
  name,
  make,
  ["INVALID_ARGUMENT", /has no option "\w+"; it takes /],
];

describe("names that are not known are refused by", () => {
  each([
    unknown("Adam", () => new js.Adam({ learningRate: 0.1 }), "lr|eps|maximize|amsgrad|betas"),
    unknown("AdamW", () => new js.AdamW({ weight_decay: 0.1 }), "weightDecay"),
    unknown("SGD", () => new js.SGD({ lr: 0.1, momentun: 0.9 }), "momentum"),
    unknown("NAdam", () => new js.NAdam({ momentum_decay: 0.1 }), "momentumDecay"),
    stray("Lookahead", () => new js.Lookahead(new js.SGD({ lr: 0.1 }), { slowStep: 0.5 })),
    stray("EMA", () => new js.EMA({ beta: 0.5 })),
    unknown("EarlyStopping", () => new js.EarlyStopping({ min_delta: 1 }), "minDelta"),
    unknown("ReduceLROnPlateau", () => new js.ReduceLROnPlateau({ min_lr: 1 }), "minLr"),
    stray("MonitorSingularValues", () => new js.MonitorSingularValues({ period: 1 })),
    unknown("randomCrop", () => js.randomCrop({ paddings: 1 }), "padding"),
    unknown("StepLR", () => new js.StepLR({ lr: 0.1, step_size: 5 }), "stepSize"),
    unknown("CosineAnnealingLR", () => new js.CosineAnnealingLR({ lr: 0.1, T_max: 5 }), "tMax"),
    unknown("OneCycleLR", () => new js.OneCycleLR({ max_lr: 0.1, totalSteps: 5 }), "maxLr"),
    unknown("a class of losses", () => new js.CrossEntropyLoss({ label_smoothing: 0.1 }), "labelSmoothing"),
    unknown("a function of losses", () => js.functional.crossEntropy(x, ids, { ignore_index: 1 }), "ignoreIndex"),
    stray("MSELoss", () => new js.MSELoss({ size_average: true })),
    unknown("meanSquaredError", () => js.functional.meanSquaredError(x, x, { reduce: true }), "reduction"),
    unknown("KRLoss", () => new js.KRLoss({ multi_gpu: true }), "multiGpu"),
    unknown("accuracy", () => js.accuracy({ ignore: 1 }), "ignoreIndex"),
    unknown("fit", () => js.fit(dense(), samples(), { ...good(), clipGradNorm: 1 }), "\\w+"),
    unknown(
      "fit (Keras's validation_data)",
      () => js.fit(dense(), samples(), { ...good(), validation_data: samples() }),
      "validation",
    ),
    unknown("evaluate", () => js.evaluate(dense(), samples(), { metric: {} }), "metrics"),
    unknown("loop", () => js.loop(() => scalar(1), { steps: 1, table: [] }), "tables"),
    unknown("certify", () => js.certify(dense(), images(), { heads: "auto" }), "head"),
    stray("certificateRadius", () =>
      js.functional.certificateRadius({ data: [1, 0], shape: [1, 2] }, { kind: "generic", K: 1 }),
    ),
    unknown("convolutionFactor", () => js.functional.convolutionFactor({ kernel_size: [3] }), "kernelSize"),
    stray("spectralNormalization", () => js.functional.spectralNormalization(x, js.zeros([1, 2]), { niter: 3 })),
    stray("bjorckNormalization", () => js.functional.bjorckNormalization(x, { niters: 3 })),
    unknown(
      "frobeniusNormalization",
      () => js.functional.frobeniusNormalization(x, { disjoint: true }),
      "disjointNeurons",
    ),
    stray("L2CarliniWagnerAttack", () => new js.L2CarliniWagnerAttack({ max_iter: 5 })),
    unknown("DDNAttack", () => new js.DDNAttack({ init_epsilon: 1 }), "initEpsilon"),
    unknown("L2PGD", () => new js.L2PGD({ rel_stepsize: 0.1 }), "relStepsize"),
    ...["epsilon", "epsilons", "eps"].map(
      (name): Mistake => [
        `${name} of an attack that is made`,
        () => new js.L2AdamPGD({ [name]: 0.5 }),
        ["INVALID_ARGUMENT", new RegExp(`no option "${name}"; radii are given where it runs: run\\(.*epsilons`)],
      ],
    ),
    unknown(
      "run() of an attack",
      () => new js.DDNAttack({ steps: 1 }).run(dense(), images(), [0], { epsilon: [1] }),
      "epsilons",
    ),
    unknown(
      "fromArrays",
      () => js.fromArrays(new Float32Array(2), [2, 1], [0, 1], { classes: ["a", "b"] }),
      "classNames",
    ),
    unknown("onePerClass", () => samples().onePerClass(dense(), { skip: true } as object), "skipMissing|among"),
    stray("datasets", () => js.datasets.fashionMnist({ root: "data" })),
    unknown("tensor", () => js.tensor([1], [1], { type: "i32" }), "dtype"),
    stray("zeros", () => js.zeros([2], { device: "cpu" })),
    unknown("arange", () => js.arange(3, { type: "f32" }), "dtype"),
    unknown("eye", () => js.eye(3, 3, { type: "f32" }), "dtype"),
    unknown("rand", () => js.rand([2], { sed: 1 }), "seed"),
    unknown("orthogonal", () => js.orthogonal(2, 2, { sed: 1 }), "seed"),
    unknown("Generator", () => new js.Generator({ sed: 1 }), "seed"),
    unknown("state", () => js.state(x, { names: "x" }), "name"),
    stray("Parameter", () => new js.Parameter(x, { requiresGrad: false })),
    unknown("sum", () => x.sum(0, { keepdim: true }), "keepdims"),
    unknown("mean", () => x.mean(0, { keepDim: true }), "keepdims"),
    unknown("argsort", () => x.argsort(0, { desc: true }), "descending"),
    stray("sort", () => x.sort(0, { reverse: true })),
    unknown("topk", () => x.topk(1, 0, { largst: true }), "largest"),
    unknown("matmul", () => x.matmul(x, { transpose: true }), "transpose[AB]"),
    stray("pad", () => x.pad([0, 0], [1, 1], { fill: 1 })),
    unknown("conv2d", () => js.zeros([1, 1, 4, 4]).conv2d(js.zeros([1, 1, 2, 2]), { strides: 2 }), "stride"),
    unknown("a layer", () => new js.SpectralConv2d(1, 4, { kernel_size: 3 }), "kernelSize"),
    unknown("Sequential", () => new js.Sequential([], { kCoefLipp: 1 }), "kCoefLip"),
    unknown("setDefaultDevice", () => js.setDefaultDevice("cpu", { power: "low-power" }), "powerPreference"),
    stray("adversarialFigure", () => js.adversarialFigure({ advs: x })),
    stray("createProgress", () => js.createProgress({ label: "x", max: 3 })),
    [
      "a layer without options",
      () => new js.Flatten({ startDim: 1 }),
      ["INVALID_ARGUMENT", /Flatten has no option "startDim"; it has none/],
    ],
    [
      "a metric without options",
      () => js.meanSquaredError({ squared: false }),
      ["INVALID_ARGUMENT", /has no option "squared"; it has none/],
    ],
    [
      "a metric of labels",
      () => js.binaryAccuracy({ threshold: 0.5 }),
      ["INVALID_ARGUMENT", /has no option "threshold".*ignoreIndex/],
    ],
  ]);
});

describe("in the place of options", () => {
  const adam = /Adam takes its options as a record \{ lr, .*given /;
  each([
    [
      "a learning rate",
      () => new js.Adam(0.1),
      ["INVALID_ARGUMENT", /Adam takes its options as a record \{ lr, .*; given 0.1$/],
    ],
    [
      "a learning rate, of AdamW",
      () => new js.AdamW(0.1),
      ["INVALID_ARGUMENT", /AdamW takes its options.*; given 0.1$/],
    ],
    ["parameters first, as in PyTorch", () => new js.Adam(dense().parameters(), { lr: 1 }), ["INVALID_ARGUMENT", adam]],
    ["a model", () => new js.Adam(dense()), ["INVALID_ARGUMENT", /record \{ lr, .*; given a Sequential$/]],
    ["null", () => new js.Adam(null), ["INVALID_ARGUMENT", /; given null$/]],
    ["a Map", () => new js.Adam(new Map([["lr", 1]])), ["INVALID_ARGUMENT", /record \{ lr, .*; given a Map$/]],
    ["a kernel size", () => new js.SpectralConv2d(1, 4, 3), ["INVALID_ARGUMENT", /record \{ kernelSize, .*; given 3$/]],
    ["alpha", () => new js.HKRMulticlassLoss(100), ["INVALID_ARGUMENT", /record \{ alpha, .*; given 100$/]],
    ["a seed", () => js.rand([2], 1), ["INVALID_ARGUMENT", /record \{ seed \}; given 1$/]],
    [
      "an element type",
      () => js.zeros([2], "i32"),
      ["INVALID_ARGUMENT", /record \{ dtype \}; given "i32" \(a string\)$/],
    ],
    [
      "nothing, of an SGD",
      () => new js.SGD(),
      ["INVALID_ARGUMENT", /lr must be finite and at least 0; given undefined/],
    ],
    [
      "names of classes",
      () => js.fromArrays(new Float32Array(2), [2, 1], [0, 1], ["a", "b"]),
      ["INVALID_ARGUMENT", /record \{ classNames, ignoreIndex \}; given \["a", "b"\]$/],
    ],
    [
      "epochs",
      () => js.fit(dense(), samples(), 5),
      ["INVALID_ARGUMENT", /fit takes its options as a record.*given 5$/],
    ],
    [
      "outputs, of a metric that was not called",
      () => js.accuracy(x),
      [
        "INVALID_ARGUMENT",
        /record \{ ignoreIndex \}; given a tensor f32 \[2, 2\]; call it: what accuracy\(\) returns is meant here, not accuracy itself$/,
      ],
    ],
  ]);
});

describe("of two options that say the same, both are refused by", () => {
  each([
    [
      "projections.clip",
      () => js.projections.clip({ kCoefLip: 1, limit: 1 }),
      [
        "INVALID_ARGUMENT",
        /projections\.clip\(\) takes \{ kCoefLip \}.* or \{ limit \}.*kCoefLip 1 and limit 1: leave one/,
      ],
    ],
    [
      "certificateRadius, of a kind that has no use for one",
      () =>
        js.functional.certificateRadius(
          { data: [1, 0], shape: [1, 2] },
          { kind: "generic", lipschitz: 1, head: { data: [1, 2], shape: [2, 1] } },
        ),
      ["INVALID_ARGUMENT", /head is for kind "pairwise"; given one with kind "generic".*leave it out/],
    ],
  ]);
});

describe("values of options", () => {
  const notASignal = ["INVALID_ARGUMENT", /signal must be an AbortSignal, .*; given an AbortController/] as const;
  each([
    [
      "a rate as a text",
      () => new js.Adam({ lr: "0.1" }),
      ["INVALID_ARGUMENT", /lr must be finite and at least 0; given "0.1" \(a string\)/],
    ],
    ["a rate as a BigInt", () => new js.Adam({ lr: 1n }), ["INVALID_ARGUMENT", /given 1n \(a BigInt\)/]],
    [
      "a rate below 0",
      () => new js.SGD({ lr: -1 }),
      ["INVALID_ARGUMENT", /lr must be finite and at least 0; given -1/],
    ],
    ["one beta", () => new js.Adam({ betas: 0.9 }), ["INVALID_ARGUMENT", /betas must be two numbers; given 0.9/]],
    [
      "a beta of 1",
      () => new js.Adam({ betas: [0.9, 1] }),
      ["INVALID_ARGUMENT", /betas\[1\] must be at least 0 and below 1; given 1/],
    ],
    [
      "a flag as a text",
      () => new js.Adam({ amsgrad: "no" }),
      ["INVALID_ARGUMENT", /amsgrad must be true or false; given "no" \(a string\)/],
    ],
    [
      "a reduction that there is not",
      () => new js.MSELoss({ reduction: "avg" }),
      ["INVALID_ARGUMENT", /"mean", "sum" or "none"; given "avg"/],
    ],
    [
      "a seed as a BigInt",
      () => js.rand([2], { seed: 5n }),
      ["INVALID_ARGUMENT", /whole number from 0 to 2\^53 - 1; given 5n \(a BigInt\)/],
    ],
    [
      "NumPy's element type",
      () => js.zeros([2], { dtype: "float32" }),
      ["INVALID_ARGUMENT", /"f32", "i32", "u8" or "bool"; given "float32"/],
    ],
    [
      "steps as a text",
      () => new js.DDNAttack({ steps: "5" }),
      ["INVALID_ARGUMENT", /steps must be a whole number >= 1; given "5" \(a string\)/],
    ],
    [
      "a head that there is not",
      () => js.certify(dense(), images(), { head: "best" }),
      ["INVALID_ARGUMENT", /"auto", "generic", "disjoint" or "pairwise"; given "best"/],
    ],
    [
      "a controller for its signal, of fit",
      () => js.fit(dense(), samples(), { ...good(), signal: new AbortController() }),
      notASignal,
    ],
    [
      "a controller for its signal, of evaluate",
      () => js.evaluate(dense(), samples(), { signal: new AbortController() }),
      notASignal,
    ],
    [
      "a controller for its signal, of loop",
      () => js.loop(() => scalar(1), { steps: 1, signal: new AbortController() }),
      notASignal,
    ],
    [
      "a controller for its signal, of an attack",
      () => new js.DDNAttack({ steps: 1 }).run(dense(), images(), [0], { signal: new AbortController() }),
      notASignal,
    ],
    [
      "a controller for its signal, of a data set",
      () => js.datasets.mnist({ dir: "/none", signal: new AbortController() }),
      notASignal,
    ],
    [
      "a bar for a function",
      () => js.loop(() => scalar(1), { steps: 1, onProgress: {} }),
      ["INVALID_ARGUMENT", /onProgress must be a function; given \{\}/],
    ],
    ["undefined, which is the default", () => new js.Adam({ lr: undefined }).lr, { works: 1e-3 }],
  ]);
});

const fitted = (name: string) => js.fit(dense(), samples(), { ...good(), [name]: 1 });
const [convolution, optimizer, hkr, stopping] = [
  (name: string) => new js.SpectralConv2d(1, 4, { kernelSize: 3, [name]: 1 }),
  (name: string) => new js.Adam({ [name]: 1 }),
  (name: string) => new js.HKRMulticlassLoss({ [name]: 1 }),
  (name: string) => new js.EarlyStopping({ [name]: 1 }),
];

describe("what is close to an option is told apart from what is not:", () => {
  each([
    ...[
      ["epoch", "epochs"],
      ["batch_size", "batchSize"],
      ["bacthSize", "batchSize"],
      ["optimiser", "optimizer"],
      ["validationData", "validation"],
      ["verbos", "verbose"],
      ["shufle", "shuffle"],
      ["clip", "gradientClip"],
      ["augmentation", "augment"],
      ["initial_epoch", "initialEpoch"],
    ].map(([given = "", meant = ""]) => unknown(`fit, ${given}`, () => fitted(given), meant)),
    ...[
      ["strides", "stride"],
      ["kernal", "kernelSize"],
      ["use_bias", "bias"],
      ["kernelInitializer", "initializer"],
      ["k_coef_lip", "kCoefLip"],
    ].map(([given = "", meant = ""]) => unknown(`a layer, ${given}`, () => convolution(given), meant)),
    ...[
      ["learning_rate", "lr"],
      ["epsilon", "eps"],
      ["beta1", "betas"],
    ].map(([given = "", meant = ""]) => unknown(`an optimizer, ${given}`, () => optimizer(given), meant)),
    unknown("a loss, margin", () => hkr("margin"), "minMargin"),
    unknown("a loss, alhpa", () => hkr("alhpa"), "alpha"),
    unknown("a callback, restoreBest", () => stopping("restoreBest"), "restoreBestWeights"),
    ...["banana", "workers", "x", "data", "lr", "cache", "resume", "tensorboard", "precision", "strategy"].map(
      (given) => stray(`fit, ${given}`, () => fitted(given)),
    ),
    ...["banana", "activation", "name", "units", "dtype"].map((given) =>
      stray(`a layer, ${given}`, () => convolution(given)),
    ),
    ...["fused", "foreach", "to"].map((given) => stray(`an optimizer, ${given}`, () => optimizer(given))),
    stray("a loss, temperature", () => hkr("temperature")),
    stray("a callback, baseline", () => stopping("baseline")),
  ]);
});
