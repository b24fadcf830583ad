// Layers: how they are made, and classes of one's own.
import { Identity, Module, Sequential, type Tensor, zeros } from "tslip";
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
