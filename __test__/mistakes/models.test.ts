// Models: what they are fed with, and which layer an error is about.
import { fromArrays, type Module, ReLU, Sequential, SpectralLinear, tensor, zeros } from "tslip";
import { describe, expect, it } from "vitest";
import { convolutional, dense, each, js, samples } from "./mistake.js";

/** A model whose methods take anything. */
const loose = (model: Module) =>
  model as unknown as Record<
    "predict" | "classify" | "loadStateDict",
    (x: unknown) => Promise<{ shape: readonly number[] }>
  >;
const predict = (model: Module, x: unknown) => () => loose(model).predict(x);

describe("inputs of models", () => {
  const nested = new Sequential(
    [new Sequential([new SpectralLinear(4, 4), new ReLU()], { constrained: false }), new SpectralLinear(5, 3)],
    { constrained: false },
  );
  each([
    [
      "null",
      predict(dense(), null),
      ["INVALID_ARGUMENT", /images must be a tensor \[n, ...\], \{ data, shape \} or nested arrays.*; given null/],
    ],
    ["nothing", predict(dense(), undefined), ["INVALID_ARGUMENT", /given undefined/]],
    ["a number", predict(dense(), 5), ["INVALID_ARGUMENT", /given 5/]],
    [
      "a data set",
      predict(dense(), samples()),
      ["INVALID_ARGUMENT", /batch\(i\).images of a data set; given a Dataset/],
    ],
    [
      "a batch of one",
      predict(dense(), samples().batch(0)),
      ["INVALID_ARGUMENT", /given \{ images, targets, labels \}/],
    ],
    ["a model", predict(dense(), dense()), ["INVALID_ARGUMENT", /given a Sequential/]],
    [
      "a promise",
      predict(dense(), Promise.resolve(zeros([1, 4]))),
      ["INVALID_ARGUMENT", /given a Promise, which has to be awaited first/],
    ],
    [
      "texts in arrays",
      predict(dense(), [["1", "2", "3", "4"]]),
      ["INVALID_ARGUMENT", /a tensor holds numbers or booleans; given "1" \(a string\)/],
    ],
    ["ragged arrays", predict(dense(), [[1, 2, 3, 4], [1]]), ["SHAPE_MISMATCH", /nested arrays are ragged/]],
    [
      "data of another shape",
      predict(dense(), { data: new Float32Array(7), shape: [2, 4] }),
      ["SHAPE_MISMATCH", /shape \[2, 4\] holds 8 values; given 7/],
    ],
    [
      "a shape as a text",
      predict(dense(), { data: new Float32Array(8), shape: "2,4" }),
      ["INVALID_ARGUMENT", /a shape is an array of whole numbers.*given "2,4" \(a string\)/],
    ],
    [
      "images NHWC",
      predict(convolutional(), zeros([2, 8, 8, 1])),
      [
        "SHAPE_MISMATCH",
        /layer 0 \(SpectralConv2d\): this layer takes images \[n, 1, height, width\]; given \[2, 8, 8, 1\]; .*permute\(\[0, 3, 1, 2\]\)/,
      ],
    ],
    [
      "one image",
      predict(convolutional(), zeros([1, 8, 8])),
      [
        "SHAPE_MISMATCH",
        /layer 0 \(SpectralConv2d\): .*given \[1, 8, 8\]; one image is a batch of one: unsqueeze\(0\)/,
      ],
    ],
    [
      "images without channels",
      predict(convolutional(), zeros([2, 8, 8])),
      ["SHAPE_MISMATCH", /given \[2, 8, 8\]; give the channels an axis: unsqueeze\(1\)/],
    ],
    [
      "images in rows",
      predict(convolutional(), zeros([2, 64])),
      ["SHAPE_MISMATCH", /given \[2, 64\]; reshape them to \[-1, 1, height, width\]/],
    ],
    [
      "images of another size",
      predict(convolutional(), zeros([2, 1, 9, 9])),
      ["SHAPE_MISMATCH", /layer 3 \(SpectralLinear\): this layer takes \[n, 128\]; given \[2, 162\]/],
    ],
    [
      "images in colour",
      predict(convolutional(), zeros([2, 3, 8, 8])),
      ["SHAPE_MISMATCH", /layer 0 \(SpectralConv2d\): .*given \[2, 3, 8, 8\]; it was made for 1 channels/],
    ],
    [
      "one sample",
      predict(dense(), zeros([4])),
      [
        "SHAPE_MISMATCH",
        /layer 0 \(SpectralLinear\): this layer takes \[n, 4\]; given \[4\]; one sample is a batch of one: unsqueeze\(0\)/,
      ],
    ],
    [
      "one sample, of a layer",
      predict(new SpectralLinear(4, 3), zeros([4])),
      ["SHAPE_MISMATCH", /this layer takes \[n, 4\]; given \[4\]/],
    ],
    [
      "images where rows are wanted",
      predict(dense(), zeros([3, 1, 2, 2])),
      ["SHAPE_MISMATCH", /given \[3, 1, 2, 2\]; put new Flatten\(\) before it/],
    ],
    [
      "one sample, to be flattened",
      predict(new Sequential([new js.Flatten() as unknown as Module]), zeros([4])),
      ["SHAPE_MISMATCH", /layer 0 \(Flatten\): this layer takes samples \[n, ...\]; given \[4\]/],
    ],
    [
      "a layer of other features, by its path",
      predict(nested, zeros([2, 4])),
      [
        "SHAPE_MISMATCH",
        /^layer 1 \(SpectralLinear\): this layer takes \[n, 5\]; given \[2, 4\]; it was made for 5 features$/,
      ],
    ],
    [
      "a layer in a container in a container",
      predict(nested, zeros([2, 7])),
      ["SHAPE_MISMATCH", /^layer 0\.0 \(SpectralLinear\): this layer takes \[n, 4\]; given \[2, 7\]/],
    ],
    [
      "doubles",
      async () => (await loose(dense()).predict({ data: new Float64Array(8), shape: [2, 4] })).shape,
      { works: [2, 3] },
    ],
    [
      "clamped bytes, as of a canvas",
      async () => (await loose(dense()).predict({ data: new Uint8ClampedArray(8), shape: [2, 4] })).shape,
      { works: [2, 3] },
    ],
    [
      "an array in the place of a typed one",
      async () => (await loose(dense()).predict({ data: [1, 2, 3, 4], shape: [1, 4] })).shape,
      { works: [1, 3] },
    ],
    [
      "32-bit words",
      predict(dense(), { data: new Uint32Array(4), shape: [1, 4] }),
      ["DTYPE_MISMATCH", /given a Uint32Array of 4 numbers/],
    ],
  ]);

  it("as doubles and clamped bytes are computed as floats and bytes are", async () => {
    const model = dense();
    const numbers = [0, 51, 102, 255];
    const of = async (data: Float64Array | Float32Array | Uint8Array | Uint8ClampedArray) =>
      (await model.predict({ data, shape: [1, 4] })).held();
    expect(await of(Float64Array.from(numbers))).toEqual(await of(Float32Array.from(numbers)));
    expect(await of(Uint8ClampedArray.from(numbers))).toEqual(await of(Uint8Array.from(numbers)));
    expect(tensor(Uint8ClampedArray.from(numbers)).dtype).toBe("u8");
    const [doubles, floats] = [Float64Array, Float32Array].map(
      (Numbers) => fromArrays(Numbers.from([0.1, 0.2]), [2, 1], [0, 1]).imagesRaw,
    );
    expect(doubles).toEqual(floats);
  });
});

describe("state dictionaries", () => {
  const doubles = async () => {
    const record = await dense().stateDict();
    const values = Object.entries(record).map(([key, { shape, size }]) => [
      key,
      { data: new Float64Array(size).fill(0.5), shape },
    ]);
    const model = dense();
    model.loadStateDict(Object.fromEntries(values));
    return (await model.stateDict())["0.bias"]?.held();
  };
  const load = (record: unknown) => () => loose(dense()).loadStateDict(record);
  each([
    [
      "a path",
      load("model.safetensors"),
      ["INVALID_ARGUMENT", /states are tensors by key, as stateDict\(\) gives them; given "model.safetensors"/],
    ],
    ["nothing", load(undefined), ["INVALID_ARGUMENT", /given undefined/]],
    [
      "a promise of one",
      load(dense().stateDict()),
      ["INVALID_ARGUMENT", /given a Promise, which has to be awaited first/],
    ],
    [
      "another model's",
      async () => loose(dense()).loadStateDict(await convolutional().stateDict()),
      ["SHAPE_MISMATCH", /nothing was changed/],
    ],
    ["doubles by key", doubles, { works: Float32Array.of(0.5, 0.5, 0.5, 0.5) }],
    [
      "numbers by key",
      async () => loose(dense()).loadStateDict({ ...(await dense().stateDict()), "0.bias": 5 }),
      ["INVALID_ARGUMENT", /0\.bias: expected a tensor, given 5/],
    ],
  ]);
});
