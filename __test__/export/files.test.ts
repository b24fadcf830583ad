// Models and tensors through files.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
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
});
