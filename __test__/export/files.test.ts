// Models and tensors through files.
import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  Conv2d,
  Flatten,
  GroupSort,
  GroupSort2,
  loadModel,
  loadSafetensors,
  Module,
  ReLU,
  randn,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  saveModel,
  saveSafetensors,
  state,
  type Tensor,
  tensor,
  vanillaModel,
} from "../../src/index.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-files-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const model = (): Sequential =>
  new Sequential(
    [
      new SpectralConv2d(1, 4, { kernelSize: [3, 2], padding: "same", paddingMode: "reflect", bias: false }),
      new GroupSort(4),
      new ScaledL2NormPool2d({ kernelSize: 2, stride: 1 }),
      new Sequential([new Flatten(), new SpectralLinear(100, 6, { kCoefLip: 0.5 })]),
      new ReLU(),
      new GroupSort2(),
      new SpectralLinear(6, 3),
    ],
    { kCoefLip: 3 },
  );

describe("saveModel and loadModel", () => {
  it("bring back the same network, constrained or exported", async () => {
    const x = randn([2, 1, 6, 6], { seed: 1 });
    const constrained = model();
    for (const original of [constrained, vanillaModel(constrained)]) {
      const path = join(folder, "model.safetensors");
      await saveModel(original, path);
      const loaded = await loadModel(path);
      expect(loaded.predictSync(x).held()).toEqual(original.predictSync(x).held());
      expect(loaded.lipschitzBound()).toBe(original.lipschitzBound());
      expect(JSON.stringify(loaded)).toBe(JSON.stringify(original));
    }
    expect(await readdir(folder)).toEqual(["model.safetensors"]);
  });

  it("refuse what they cannot save or build", async () => {
    class Own extends Module {
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    const path = join(folder, "own.safetensors");
    await expect(saveModel(new Own(), path)).rejects.toMatchObject({ code: "UNSUPPORTED" });
    await saveSafetensors({ a: tensor([1]) }, path);
    await expect(loadModel(path)).rejects.toMatchObject({ code: "INVALID_FILE" });
    for (const architecture of [
      "{",
      '{"type":"Own"}',
      '{"type":"constructor"}',
      '{"type":"Linear","inFeatures":-1}',
      "[]",
    ]) {
      await saveSafetensors({ a: tensor([1]) }, path, { "tslip.architecture": architecture });
      await expect(loadModel(path)).rejects.toMatchObject({ code: "INVALID_FILE" });
    }
    await saveSafetensors({ a: tensor([1]) }, path, {
      "tslip.architecture": '{"type":"Linear","inFeatures":1,"outFeatures":1}',
    });
    await expect(loadModel(path)).rejects.toThrow(/needs weight of shape .* the file has none/);
    await writeFile(path, "not a tensor in sight");
    await expect(loadModel(path)).rejects.toMatchObject({ code: "INVALID_FILE" });
  });
});

describe("saveSafetensors and loadSafetensors", () => {
  it("keep names, types, shapes and values", async () => {
    const path = join(folder, "tensors.safetensors");
    await saveSafetensors(
      { a: tensor([[1.5, -2]]), b: tensor(Int32Array.of(7)), c: tensor([true]), d: tensor([]).add(1) },
      path,
    );
    const { a, b, c, d } = await loadSafetensors(path);
    expect([a?.shape, b?.dtype, c?.dtype, d?.shape]).toEqual([[1, 2], "i32", "bool", [0]]);
    expect([...(a?.held() ?? []), ...(b?.held() ?? []), ...(c?.held() ?? [])]).toEqual([1.5, -2, 7, 1]);
  });

  it("write a model under torchlip's keys", async () => {
    const path = join(folder, "conv.safetensors");
    await saveSafetensors(new Sequential([new Conv2d(1, 1, { kernelSize: 1 })], { constrained: false }), path);
    expect(Object.keys(await loadSafetensors(path)).sort()).toEqual(["0.bias", "0.weight"]);
  });
});

describe("saveSafetensors refuses what no reader would take, and leaves the file that was there:", () => {
  class Reserved extends Module {
    readonly __metadata__ = state(tensor([1]));
    forward(x: Tensor): Tensor {
      return x;
    }
  }
  const a = tensor([1]);
  const half = "\ud800";
  const refused: [string, unknown, unknown, RegExp][] = [
    ["a tensor under the name of the metadata", { __metadata__: a }, {}, /keeps its metadata under "__metadata__"/],
    ["a model with a state of that name", new Reserved(), {}, /another name/],
    ["a name of half a character", { a, [half]: a }, {}, /name of a tensor has half a surrogate pair; given "\\ud800"/],
    ["no tensors", {}, {}, /no tensors to save/],
    ["a model without states", new Flatten(), {}, /no tensors to save/],
    ["values that are no tensors", { a: [1] }, {}, /"a" is \[1\]/],
    ["null", null, {}, /tensors by name, then the path; given null/],
    ["a single tensor", a, {}, /given a tensor f32 \[1\]/],
    ["a list of tensors", [a], {}, /given an array/],
    ["numbers as metadata", { a }, { epochs: 5 }, /"epochs" is 5; make it one with String/],
    ["records as metadata", { a }, { options: { lr: 1 } }, /"options" is \{ lr \}/],
    ["metadata that is undefined", { a }, { note: undefined }, /"note" is undefined/],
    ["metadata of half a character", { a }, { note: half }, /metadata "note" has half/],
    ["a name of metadata of half a character", { a }, { [half]: "x" }, /name of metadata has half/],
    ["a text for all metadata", { a }, "note", /metadata are texts by name.*given "note" \(a string\)/],
    ["a list for all metadata", { a }, ["note"], /metadata are texts by name.*given \["note"\]/],
    ["null for all metadata", { a }, null, /metadata are texts by name.*given null/],
  ];
  it.each(refused)("%s", async (_, tensors, metadata, text) => {
    const path = join(folder, "kept.safetensors");
    await saveSafetensors({ kept: tensor([3]) }, path);
    const before = await readFile(path);
    const saving = Reflect.apply(saveSafetensors, undefined, [tensors, path, metadata]);
    await expect(saving).rejects.toMatchObject({ name: "TslipError", code: "INVALID_ARGUMENT" });
    await expect(saving).rejects.toThrow(text);
    expect(await readFile(path)).toEqual(before);
    expect((await loadSafetensors(path))["kept"]?.held()).toEqual(Float32Array.of(3));
  });

  it("a path that is none, in saving and loading", async () => {
    for (const path of [5, "", undefined, null, new URL("file:///tmp/model.safetensors")]) {
      for (const call of [
        () => Reflect.apply(saveSafetensors, undefined, [{ a }, path]),
        () => Reflect.apply(saveModel, undefined, [new Flatten(), path]),
        () => Reflect.apply(loadSafetensors, undefined, [path]),
        () => Reflect.apply(loadModel, undefined, [path]),
      ]) {
        await expect(call()).rejects.toMatchObject({ name: "TslipError", code: "INVALID_ARGUMENT" });
      }
    }
    const saving = Reflect.apply(saveModel, undefined, [{}, join(folder, "none.safetensors")]);
    await expect(saving).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("names and texts", () => {
  it("of any characters are read as they were written", async () => {
    const path = join(folder, "names.safetensors");
    const names = ["", "__proto__", "constructor", "a\0b", 'quoted "\\\n', "é😀", "metadata"];
    await saveSafetensors(Object.fromEntries(names.map((name, i) => [name, tensor([i])])), path, { "": "é😀\0" });
    const loaded = await loadSafetensors(path);
    expect(Object.keys(loaded).sort()).toEqual([...names].sort());
    for (const [i, name] of names.entries()) expect(loaded[name]?.held()).toEqual(Float32Array.of(i));
  });
});

describe("loadSafetensors", () => {
  /** A file of one tensor, as another program may have written it. */
  const written = async (dtype: string, bytes: number[]): Promise<string> => {
    const header = Buffer.from(JSON.stringify({ mask: { dtype, shape: [2], data_offsets: [0, bytes.length] } }));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const path = join(folder, "written.safetensors");
    await writeFile(path, Buffer.concat([length, header, Buffer.from(bytes)]));
    return path;
  };

  it("refuses booleans that are neither 0 nor 1, and names the tensor", async () => {
    expect((await loadSafetensors(await written("BOOL", [1, 0])))["mask"]?.not().dataSync()).toEqual(
      Uint8Array.of(0, 1),
    );
    const loading = loadSafetensors(await written("BOOL", [1, 2]));
    await expect(loading).rejects.toMatchObject({ code: "INVALID_FILE" });
    await expect(loading).rejects.toThrow(/tensor "mask" .* has the byte 2; expected 0 and 1/);
  });

  it("refuses element types that there are no tensors of", async () => {
    await expect(loadSafetensors(await written("F16", [0, 0, 0, 0]))).rejects.toThrow(/"mask" .* is F16/);
  });
});

describe("a file that describes more than it holds", () => {
  it("is refused at once, however large the layers are that it describes", async () => {
    const layer = { type: "SpectralConv2d", inChannels: 1, outChannels: 1, kernelSize: [2001, 2001] };
    const layers = Array.from({ length: 1000 }, (_, i) => ({ ...layer, padding: 1000 - i, paddingMode: "reflect" }));
    const path = join(folder, "described.safetensors");
    await saveSafetensors({}, path, { "tslip.architecture": JSON.stringify({ type: "Sequential", layers }) });
    const started = performance.now();
    const loading = loadModel(path);
    await expect(loading).rejects.toMatchObject({ code: "INVALID_FILE" });
    await expect(loading).rejects.toThrow(/0\.parametrizations\.weight\.original of shape \[1, 1, 2001, 2001\]/);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it.each(["OrthogonalConv2d", "OrthogonalConvTranspose2d"])(
    "is refused where a weight of %s is not its kernel",
    async (type) => {
      const architecture = JSON.stringify({ type, inChannels: 1, outChannels: 1, kernelSize: [1e9, 1e9] });
      const path = join(folder, "kernel.safetensors");
      await saveSafetensors({ "parametrizations.weight.original": tensor([[1]]) }, path, {
        "tslip.architecture": architecture,
      });
      await expect(loadModel(path)).rejects.toMatchObject({
        code: "INVALID_FILE",
        message: expect.stringMatching(/1024 at most/),
      });
    },
  );

  it("is refused where layers are nested deeper than the most", async () => {
    const nested = (layers: number): Promise<string> => {
      const path = join(folder, `nested-${layers}.safetensors`);
      const text = `${'{"type":"Sequential","layers":['.repeat(layers - 1)}{"type":"ReLU"}${"]}".repeat(layers - 1)}`;
      return saveSafetensors({}, path, { "tslip.architecture": text }).then(() => path);
    };
    for (const depth of [257, 3000]) {
      const loading = loadModel(await nested(depth));
      await expect(loading).rejects.toMatchObject({ code: "INVALID_FILE" });
      await expect(loading).rejects.toThrow(/nested more than 256 deep/);
    }
    const deepest = await loadModel(await nested(256));
    expect(deepest.predictSync(tensor([[-1, 2]])).dataSync()).toEqual(Float32Array.of(0, 2));
  });
});

describe("files that are written and read without awaiting", () => {
  it("are those of the last call, and found by who reads after it", async () => {
    const path = join(folder, "in-turn.safetensors");
    for (let i = 0; i < 5; i++) {
      const large = saveSafetensors({ x: tensor(new Float32Array(1e6)) }, path);
      const small = saveSafetensors({ x: tensor([i]) }, path);
      expect(Array.from((await loadSafetensors(path))["x"]?.held() ?? [])).toEqual([i]);
      await Promise.all([large, small]);
      await rm(path);
    }
  });

  it("hold states of one moment, that of the call", async () => {
    const path = join(folder, "moment.safetensors");
    const [a, b] = [state(tensor([1])), state(tensor([1]))];
    const saving = saveSafetensors({ a, b }, path);
    a.assign(tensor([2]));
    b.assign(tensor([2]));
    await saving;
    const read = await loadSafetensors(path);
    expect([read["a"]?.item(), read["b"]?.item()]).toEqual([1, 1]);
  });
});

describe.skipIf(process.platform === "win32")("a file that is replaced", () => {
  it("keeps its permissions, and a link to it stays one", async () => {
    const [path, link] = [join(folder, "kept.safetensors"), join(folder, "link.safetensors")];
    await saveSafetensors({ x: tensor([1]) }, path);
    await chmod(path, 0o600);
    await symlink(path, link);
    await saveSafetensors({ x: tensor([2]) }, link);
    expect((await loadSafetensors(path))["x"]?.item()).toBe(2);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
  });

  it("may have as long a name as the system allows, and must be a file", async () => {
    const path = join(folder, `${"n".repeat(243)}.safetensors`);
    await saveSafetensors({ x: tensor([3]) }, path);
    expect((await loadSafetensors(path))["x"]?.item()).toBe(3);
    await expect(saveSafetensors({ x: tensor([3]) }, folder)).rejects.toMatchObject({ code: "IO" });
  });
});
