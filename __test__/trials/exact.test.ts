// The exact network against the engine's definitions of ops in float64, of every kind of network.
import { describe, expect, it } from "vitest";
import { forwarded } from "../../src/nn/flow.js";
import * as layers from "../../src/nn/layers/index.js";
import { scaledImages } from "../../src/nn/module.js";
import { Program } from "../../src/tensor/compile.js";
import { bytesOf } from "../../src/tensor/dtype.js";
import type { Tensor } from "../../src/tensor/index.js";
import { Draw } from "../../trials/draw.js";
import { exactNetwork } from "../../trials/exact.js";
import { KINDS, subject } from "../../trials/networks.js";

/** What float64 may lose of the largest number on the way. */
const FLOAT64 = 1e-9;
const NETWORKS = 12;

/** Layers whose exports are other layers, with the weights that they compute with. */
const EXPORTED_AS_OTHERS = [
  "AOLConv2d",
  "AOLLinear",
  "BatchCentering",
  "BatchLipNorm",
  "BROLinear",
  "CPLConv2d",
  "CPLLinear",
  "FrobeniusConv2d",
  "FrobeniusLinear",
  "LastLayerNormalization",
  "OrthogonalConv2d",
  "OrthogonalConvTranspose2d",
  "OrthogonalLinear",
  "PatchEmbedding",
  "SLLConv2d",
  "SLLLinear",
  "SpectralConv1d",
  "SpectralConv2d",
  "SpectralConvTranspose2d",
  "SpectralLinear",
];

const tried = new Set<string>(EXPORTED_AS_OTHERS);

describe.each(KINDS)("An exact network of kind $name", (kind) => {
  it("computes what its ops say", async () => {
    for (let network = 0; network < NETWORKS; network++) {
      const { model, sample, images } = await subject(kind, new Draw(1, network), 2);
      for (const layer of model.modules()) tried.add(layer.constructor.name);
      const dtype = images instanceof Uint8Array ? "u8" : "f32";
      const image = images.slice(0, images.length / 2);
      const specs = [{ shape: [1, ...sample], dtype, batched: true } as const];
      const program = Program.record((x: Tensor) => forwarded(model, scaledImages(x)), specs);
      const [expected = new Float64Array()] = program.exact([bytesOf(image)]);
      const { hi } = exactNetwork(model, sample, dtype)(image);
      expect(hi).toHaveLength(expected.length);
      const size = Math.max(...Array.from(expected, Math.abs), ...Array.from(hi, Math.abs));
      // A network of far larger numbers on the way than in its results shows nothing here.
      expected.forEach((value, c) =>
        expect(Math.abs(value - (hi[c] ?? Number.NaN))).toBeLessThanOrEqual(FLOAT64 * size),
      );
    }
  });
});

it("has every layer of the library in some kind of network, or what it exports", () => {
  expect(Object.keys(layers).filter((name) => !tried.has(name))).toEqual([]);
});
