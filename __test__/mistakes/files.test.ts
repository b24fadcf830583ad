// What is kept and shown: files, snapshots, figures.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Module, Sequential, type Tensor, zeros } from "tslip";
import { afterAll, describe } from "vitest";
import { dense, each, js } from "./mistake.js";

const images = zeros([2, 4]);
const folder = mkdtempSync(join(tmpdir(), "tslip-mistakes-"));
const path = join(folder, "x.safetensors");
afterAll(() => rmSync(folder, { recursive: true }));

class Own extends Module {
  forward(x: Tensor): Tensor {
    return x.mul(2);
  }
}

describe("files", () => {
  const tensors = { a: images };
  each([
    [
      "the path first",
      () => js.saveSafetensors(path, tensors),
      ["INVALID_ARGUMENT", /the path of a file is a text; given \{ a \}/],
    ],
    ["no path", () => js.saveModel(dense()), ["INVALID_ARGUMENT", /the path of a file is a text; given undefined/]],
    [
      "the path of a model first",
      () => js.saveModel(path, dense()),
      ["INVALID_ARGUMENT", /saveModel takes a Module, then the path; given "/],
    ],
    ["arrays for tensors", () => js.saveSafetensors({ a: [1, 2] }, path), ["INVALID_ARGUMENT", /"a" is \[1, 2\]/]],
    [
      "a dictionary that is not awaited",
      () => js.saveSafetensors(dense().stateDict(), path),
      ["INVALID_ARGUMENT", /given a Promise, which has to be awaited first/],
    ],
    [
      "metadata that are no texts",
      () => js.saveSafetensors(tensors, path, { epoch: 5 }),
      ["INVALID_ARGUMENT", /metadata are texts by name; "epoch" is 5; make it one with String/],
    ],
    [
      "metadata as a text",
      () => js.saveSafetensors(tensors, path, "notes"),
      ["INVALID_ARGUMENT", /metadata are texts by name.*given "notes" \(a string\)/],
    ],
    ["a file that is not there", () => js.loadModel(join(folder, "none")), ["IO", /none/]],
    [
      "a URL",
      () => js.loadSafetensors(new URL("file:///none")),
      ["INVALID_ARGUMENT", /the path of a file is a text; given a URL/],
    ],
    [
      "a file of tensors for one of a model",
      async () => {
        await js.saveSafetensors(tensors, path);
        return await js.loadModel(path);
      },
      ["INVALID_FILE", /holds tensors but no architecture; build the model and use loadStateDict/],
    ],
    ["a model of one's own", () => js.saveModel(new Own(), path), ["UNSUPPORTED", /Own is a class of your own/]],
    [
      "a description of another library",
      () => js.fromJSON({ type: "Dense", units: 5 }),
      ["INVALID_FILE", /there is no layer of type "Dense" \(a string\)/],
    ],
    [
      "a text of JSON",
      () => js.fromJSON("{}"),
      ["INVALID_FILE", /a layer is described by an object with a type; given "{}" \(a string\)/],
    ],
    [
      "a class to export",
      () => js.vanillaModel(Sequential),
      ["INVALID_ARGUMENT", /vanillaModel takes a Module; given the class Sequential/],
    ],
  ]);
});

describe("snapshots", () => {
  each([
    [
      "a model alone",
      () => new js.TrainingState(dense()),
      ["INVALID_ARGUMENT", /record \{ model, optimizer, loss, schedule, position, callbacks \}; given a Sequential/],
    ],
    ["nothing", () => new js.TrainingState(), ["INVALID_ARGUMENT", /given undefined/]],
    [
      "a scheduler",
      () => new js.TrainingState({ model: dense(), scheduler: 1 }),
      ["INVALID_ARGUMENT", /has no option "scheduler"; did you mean "schedule"/],
    ],
    [
      "a class for an optimizer",
      () => new js.TrainingState({ model: dense(), optimizer: js.Adam }),
      ["INVALID_ARGUMENT", /optimizer must be one such as new Adam\(\); given the class Adam/],
    ],
    [
      "a snapshot that is not awaited",
      () => new js.TrainingState({ model: dense() }).restore(Promise.resolve({})),
      ["INVALID_ARGUMENT", /given a Promise/],
    ],
  ]);
});

describe("figures", () => {
  const many = zeros([1000, 1, 2, 2]);
  const classNames = ["a", "b", "c"];
  const parts = {
    model: new Sequential([new js.Flatten() as unknown as Module, dense()]),
    images: many,
    adversarials: many,
    classNames,
  };
  each([
    [
      "a PNG of 1,000 images",
      () => js.adversarialFigure(parts).save(join(folder, "x.png")),
      [
        "INVALID_ARGUMENT",
        /a PNG of 1000 images would be \d+ pixels tall, above 32767; give fewer images, or end the path with .svg/,
      ],
    ],
    [
      "a JPEG",
      () => js.adversarialFigure(parts).save(join(folder, "x.jpg")),
      ["INVALID_ARGUMENT", /a figure is saved as .png or .svg/],
    ],
    [
      "no path",
      () => js.adversarialFigure(parts).save(),
      ["INVALID_ARGUMENT", /the path of a figure is a text; given undefined/],
    ],
    [
      "no names",
      () => js.adversarialFigure({ ...parts, classNames: undefined }),
      ["INVALID_ARGUMENT", /classNames must be an array of names; given undefined/],
    ],
    [
      "a result for adversarials",
      () => js.adversarialFigure({ ...parts, adversarials: { raw: many, clipped: many } }),
      ["INVALID_ARGUMENT", /adversarials must be a tensor .*given \{ raw, clipped \}/],
    ],
    [
      "rows for images",
      () => js.adversarialFigure({ ...parts, images: zeros([2, 4]) }),
      ["SHAPE_MISMATCH", /images have shape \[2, 4\]; expected \[n, 1 or 3, height, width\]/],
    ],
    [
      "one distance",
      () => js.adversarialFigure({ ...parts, distances: 0.5 }),
      ["SHAPE_MISMATCH", /distances must have an entry for each of 1000 images; given 0.5/],
    ],
  ]);
});
