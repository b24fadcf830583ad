// Layers: how they are made, and classes of one's own.
import {
  Concat,
  Conv2d,
  ConvexPotentialLinear,
  ConvTranspose2d,
  Flatten,
  Identity,
  LipResidual,
  Module,
  OrthogonalConv2d,
  OrthogonalConvTranspose2d,
  Sequential,
  SpectralConvTranspose2d,
  SpectralLinear,
  type Tensor,
  zeros,
} from "tslip";
import { describe } from "vitest";
import { each, js } from "./mistake.js";

const predict = (model: Module, x: Tensor) => () => model.predict(x);

const NoForward = class NoForward extends (Module as unknown as new () => object) {} as new () => Module;

class Returns extends Module {
  constructor(readonly result: unknown) {
    super();
  }
  forward(): Tensor {
    return this.result as Tensor;
  }
}

/** Refused in the words that a transposed convolution without an `inputSize` has for such images. */
describe("transposed convolutions of which the padding leaves nothing", () => {
  for (const Layer of [ConvTranspose2d, SpectralConvTranspose2d, OrthogonalConvTranspose2d]) {
    const options = { kernelSize: [3, 4], padding: 2 } as const;
    each([
      [
        `${Layer.name} made for a size`,
        () => new Layer(1, 1, { ...options, inputSize: [1, 1] }),
        ["SHAPE_MISMATCH", /nothing is left of images \[1, 1\] within the padding \[2, 2\]; make it smaller/],
      ],
      [
        `${Layer.name} for every size`,
        () => new Layer(1, 1, options).forward(zeros([1, 1, 1, 1])),
        ["SHAPE_MISMATCH", /nothing is left of images \[1, 1, 1, 1\] within the padding \[2, 2\]; make it smaller/],
      ],
    ]);
  }
});

describe("constants that no part of a container takes a share of", () => {
  const half = { kCoefLip: 0.5 };
  const none = (product: number) =>
    new RegExp(
      `no layer of the Sequential takes a share of the 0.5 asked of it: .*, or 1 .*, multiply to ${product}; leave`,
    );
  each([
    [
      "a layer without a promise",
      () => new Sequential([new ConvexPotentialLinear(4)], half),
      ["INVALID_ARGUMENT", none(1)],
    ],
    ["a layer without a constant", () => new Sequential([new Flatten()], half), ["INVALID_ARGUMENT", none(1)]],
    ["no layer", () => new Sequential([], half), ["INVALID_ARGUMENT", none(1)]],
    [
      "such a Sequential in a LipResidual",
      () => new LipResidual(new Sequential([new ConvexPotentialLinear(4)]), half),
      [
        "INVALID_ARGUMENT",
        /the branch of a LipResidual has the constant 1 already, above the 0.5 of the whole; leave out/,
      ],
    ],
    [
      "layers with constants of their own",
      () => new Sequential([new SpectralLinear(4, 4, { kCoefLip: 2 }), new Flatten()], half),
      ["INVALID_ARGUMENT", none(2)],
    ],
    [
      "such a Sequential in a Sequential",
      () => new Sequential([new Sequential([new ConvexPotentialLinear(4)])], half),
      ["INVALID_ARGUMENT", none(1)],
    ],
    [
      "branches without a constant",
      () => new Concat([new Identity(), new SpectralLinear(4, 4)], half),
      [
        "INVALID_ARGUMENT",
        /kCoefLip 0.5 of a Concat leaves no room: .* or always keep 1, make 1; give the Concat a larger one/,
      ],
    ],
    [
      "a branch that keeps 1",
      () => new LipResidual(new Identity(), half),
      ["INVALID_ARGUMENT", /the branch of a LipResidual, Identity, is 1-Lipschitz and keeps no smaller constant/],
    ],
  ]);
});

describe("layers", () => {
  each([
    [
      "sizes as texts",
      () => new js.SpectralLinear("784", 10),
      ["INVALID_ARGUMENT", /inFeatures must be a whole number >= 1; given "784" \(a string\)/],
    ],
    [
      "sizes in a record",
      () => new js.SpectralLinear({ inFeatures: 784, outFeatures: 10 }),
      ["INVALID_ARGUMENT", /inFeatures must be .*given \{ inFeatures, outFeatures \}/],
    ],
    [
      "one size",
      () => new js.SpectralLinear(10),
      ["INVALID_ARGUMENT", /outFeatures must be a whole number >= 1; given undefined/],
    ],
    [
      "a size of 0",
      () => new js.Linear(0, 10),
      ["INVALID_ARGUMENT", /inFeatures must be a whole number >= 1; given 0/],
    ],
    ["a fraction", () => new js.Linear(784 / 10, 10), ["INVALID_ARGUMENT", /given 78.4/]],
    [
      "no kernel size",
      () => new js.SpectralConv2d(1, 4),
      ["INVALID_ARGUMENT", /kernelSize must be a whole number >= 1 or a pair .*given undefined/],
    ],
    [
      "three kernel sizes",
      () => new js.Conv2d(1, 4, { kernelSize: [3, 3, 3] }),
      ["INVALID_ARGUMENT", /pair \[height, width\] of them; given \[3, 3, 3\]/],
    ],
    [
      "Keras's padding in capitals",
      () => new js.Conv2d(1, 4, { kernelSize: 3, padding: "SAME" }),
      ["INVALID_ARGUMENT", /"same" or "valid"; given "SAME"/],
    ],
    [
      "groups that do not divide",
      () => new js.Conv2d(3, 4, { kernelSize: 3, groups: 2 }),
      ["INVALID_ARGUMENT", /groups 2 must divide inChannels 3/],
    ],
    [
      "a constant of 0",
      () => new js.SpectralLinear(4, 4, { kCoefLip: 0 }),
      ["INVALID_ARGUMENT", /kCoefLip must be finite and above 0; given 0/],
    ],
    [
      "a group size of 0",
      () => new js.GroupSort(0),
      ["INVALID_ARGUMENT", /groupSize must be a whole number >= 1; given 0/],
    ],
    [
      "layers one by one, as in PyTorch",
      () => new js.Sequential(new js.Flatten(), new js.Identity()),
      ["INVALID_ARGUMENT", /layers must be an array of modules; given a Flatten/],
    ],
    [
      "a class for a layer",
      () => new js.Sequential([js.Flatten]),
      ["INVALID_ARGUMENT", /entry 0 of layers must be a Module; given the class Flatten; make one with new/],
    ],
    [
      "a function for a layer",
      () => new js.Sequential([(x: unknown) => x]),
      ["INVALID_ARGUMENT", /entry 0 of layers must be a Module; given a function; wrap functions in a class/],
    ],
    [
      "a text for a layer, as in Keras",
      () => new js.Sequential(["relu"]),
      ["INVALID_ARGUMENT", /entry 0 of layers .*given "relu" \(a string\)/],
    ],
    [
      "no layers",
      () => new js.Sequential(),
      ["INVALID_ARGUMENT", /layers must be an array of modules; given undefined/],
    ],
    [
      "a branch in an array",
      () => new js.LipResidual([new js.Identity()]),
      ["INVALID_ARGUMENT", /branch must be a Module; given an array of 1 objects/],
    ],
    [
      "a mode by its name",
      () => new js.Identity().train("eval"),
      ["INVALID_ARGUMENT", /mode must be true or false; given "eval"/],
    ],
    [
      "a sample's shape as a number",
      () => new js.Identity().summary(784),
      ["INVALID_ARGUMENT", /a shape is an array .*given 784/],
    ],
    [
      "singular values on images that are too large",
      () => new OrthogonalConv2d(64, 64, { kernelSize: 3, padding: 1 }).singularValues([64, 64]),
      [
        "INVALID_ARGUMENT",
        /singularValues\(\[64, 64\]\) of 64 channels .* 262144 x 262144, .* give a smaller size of image/,
      ],
    ],
    [
      "padding by more than there is",
      predict(new Conv2d(1, 1, { kernelSize: 5, padding: 4, paddingMode: "circular" }), zeros([1, 1, 3, 3])),
      ["INVALID_ARGUMENT", /mode "circular" adds at most 3 on a side/],
    ],
    [
      "padding by more than there is of the size that a layer is made for",
      () =>
        new js.SpectralConv2d(1, 1, {
          kernelSize: 5,
          padding: 4,
          paddingMode: "circular",
          inputSize: 3,
        }).effectiveWeight(),
      ["INVALID_ARGUMENT", /an image axis of 3 is too small for .* paddingMode "circular"; at least 4 is needed/],
    ],
    [
      "arrays for a tensor",
      () => new js.SpectralLinear(2, 2).forward([[1, 2]]),
      ["INVALID_ARGUMENT", /a layer takes tensors; given an array of 1 arrays/],
    ],
    [
      "a class without forward",
      predict(new NoForward(), zeros([1, 4])),
      ["INVALID_ARGUMENT", /NoForward has no forward\(\); define it/],
    ],
    [
      "a forward without return",
      predict(new Returns(undefined), zeros([1, 4])),
      ["INVALID_ARGUMENT", /forward\(\) of Returns must return a tensor; it returned undefined/],
    ],
    [
      "an async forward",
      predict(new Returns(Promise.resolve(zeros([1]))), zeros([1, 4])),
      ["INVALID_ARGUMENT", /it returned a Promise, which has to be awaited first/],
    ],
    [
      "a forward of numbers, inside",
      predict(new Sequential([new Identity(), new Returns(3)], { constrained: false }), zeros([1, 4])),
      ["INVALID_ARGUMENT", /layer 1 \(Returns\): forward\(\) of Returns .*returned 3/],
    ],
  ]);
});
