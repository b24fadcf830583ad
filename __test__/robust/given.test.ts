// Arrays that are given may change as soon as a call is under way: what it finds is of what they were.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import {
  adversarialFigure,
  certifiedAuroc,
  certify,
  Flatten,
  GroupSort2,
  manualSeed,
  rand,
  Sequential,
  SpectralLinear,
  saveCertificates,
  type Tensor,
  tensor,
  verifyCertificates,
  wassersteinLowerBound,
} from "../../src/index.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-given-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

manualSeed(3);
const [SAMPLES, PIXELS] = [6, 16];
const layers = (outputs: number) => [new SpectralLinear(PIXELS, 6), new GroupSort2(), new SpectralLinear(6, outputs)];
const one = new Sequential(layers(1));
const model = new Sequential(layers(3));

/** Pixels of a seed. */
const pixelsOf = (seed: number): Float32Array => Float32Array.from(rand([SAMPLES, PIXELS], { seed }).dataSync());

type Call = (first: Float32Array, second: Float32Array) => Promise<unknown>;
const shape = [SAMPLES, PIXELS] as const;
const calls: [string, Call][] = [
  ["certifiedAuroc", (data, other) => certifiedAuroc(one, { data, shape }, { data: other, shape }, [0.1])],
  ["wassersteinLowerBound", (data, other) => wassersteinLowerBound(one, { data, shape }, { data: other, shape })],
];

it.each(calls)("to %s, of both samples", async (_, call) => {
  const expected = await call(pixelsOf(1), pixelsOf(2));
  const [first, second] = [pixelsOf(1), pixelsOf(2)];
  const underWay = call(first, second);
  first.fill(0);
  second.fill(1);
  expect(await underWay).toEqual(expected);
});

it("to verifyCertificates, of the bytes of a file", async () => {
  const inputs = tensor(pixelsOf(1), shape);
  const path = join(folder, "certificates.json");
  await saveCertificates(path, { model, inputs, certificates: await certify(model, inputs) });
  const bytes = await readFile(path);
  const underWay = verifyCertificates(bytes, { model, inputs });
  bytes.fill(0);
  expect(await underWay).toMatchObject({ outcome: "VERIFIED" });
});

it("to an adversarialFigure, while it is drawn", async () => {
  const onImages = new Sequential([new Flatten(), ...layers(3)]);
  const imagesOf = (seed: number): Tensor => tensor(pixelsOf(seed), [SAMPLES, 1, 4, 4]);
  const make = () => ({
    classNames: ["a", "b", "c"],
    certificates: Array.from({ length: SAMPLES }, () => ({ radius: 0.25 })),
    distances: new Array<number>(SAMPLES).fill(0.5),
    bounds: [0, 1] as [number, number],
  });
  const parts = { model: onImages, images: imagesOf(1), adversarials: imagesOf(2) };
  const expected = await adversarialFigure({ ...parts, ...make() }).toSvg();
  const given = make();
  const underWay = adversarialFigure({ ...parts, ...given }).toSvg();
  given.classNames.fill("other");
  given.certificates.length = 0;
  given.distances.fill(9);
  given.bounds[1] = 7;
  expect(await underWay).toBe(expected);
});
