// What takes values over takes a copy: whatever the caller does to its memory afterwards changes nothing, also where that is a Buffer.
import { gzipSync } from "node:zlib";
import { certify, Dataset, DDNAttack, fromArrays, fromIdx, Linear, readIdx, type Tensor, tensor, Value } from "tslip";
import { describe, expect, test } from "vitest";
import { idxBytes } from "./idx-bytes.js";

const U8 = 8;
const I8 = 9;
const PIXELS = [1, 2, 3, 4];
const IMAGES = [...idxBytes(U8, [2, 1, 2], PIXELS)];
const LABELS = [...idxBytes(U8, [2], [1, 0])];
const identity = (): Linear =>
  new Linear(2, 2, { bias: false }, { weight: tensor([1, 0, 0, 1], [2, 2]), bias: undefined });

/** Takes memory with these bytes over; what it then holds of them is asked for after they have been overwritten. */
type Taking = (bytes: Uint8Array) => Promise<() => unknown>;

const taking: [string, number[], Taking, unknown][] = [
  ["images of fromArrays", PIXELS, async (b) => of(fromArrays(b, [2, 2], [0, 1]).imagesRaw), plain(PIXELS)],
  ["labels of fromArrays", [1, 0], async (b) => of(fromArrays(plain(PIXELS), [2, 2], b).labelsRaw), indices(1, 0)],
  [
    "targets of fromArrays",
    PIXELS,
    async (data) => of(fromArrays(plain(PIXELS), [2, 2], { data, shape: [2, 2] }).targetsRaw),
    Float32Array.from(PIXELS),
  ],
  ["images of fromIdx", IMAGES, async (b) => of((await fromIdx(b, plain(LABELS))).imagesRaw), plain(PIXELS)],
  ["labels of fromIdx", LABELS, async (b) => of((await fromIdx(plain(IMAGES), b)).labelsRaw), indices(1, 0)],
  ["readIdx", IMAGES, async (b) => of((await readIdx(b)).data), plain(PIXELS)],
  [
    "readIdx of signed bytes",
    [...idxBytes(I8, [2], [255, 1])],
    async (b) => of((await readIdx(b)).data),
    Int8Array.of(-1, 1),
  ],
  [
    "readIdx of gzip, before it has been read",
    [...gzipSync(plain(IMAGES))],
    async (b) => {
      const reading = readIdx(b);
      b.fill(0);
      return of((await reading).data);
    },
    plain(PIXELS),
  ],
  [
    "a subset",
    PIXELS,
    async (b) => {
      const subset = new Dataset(b, [2, 2], [0, 1]).subset([1]);
      return () => subset.imagesRaw;
    },
    plain([3, 4]),
  ],
  [
    "a batch",
    [0, 255, 255, 0],
    async (b) => {
      const { images } = new Dataset(b, [2, 2], [0, 1]).batch(0);
      return () => images.dataSync();
    },
    Float32Array.of(0, 1, 1, 0),
  ],
  [
    "tensor",
    PIXELS,
    async (b) => {
      const taken = tensor(b);
      return () => taken.held();
    },
    plain(PIXELS),
  ],
  ["data() of a Value", PIXELS, async (b) => of(new Value(b, [4], "u8").data()), plain(PIXELS)],
  ["dataSync() of a Value", PIXELS, async (b) => of(new Value(b, [4], "u8").dataSync()), plain(PIXELS)],
  [
    "predict",
    [0, 255],
    async (data) => {
      const logits = identity().predict({ data, shape: [1, 2] });
      return async () => (await logits).held();
    },
    Float32Array.of(0, 1),
  ],
  [
    "certify",
    [0, 255],
    async (data) => {
      const certificates = certify(identity(), { data, shape: [1, 2] });
      return async () => (await certificates)[0]?.margin;
    },
    1,
  ],
];

describe("is a copy, of memory of its own:", () => {
  test.each(taking)("%s", async (_, bytes, take, expected) => {
    for (const memory of [Buffer.from(bytes), plain(bytes)]) {
      const held = await take(memory);
      memory.fill(7);
      expect(await held()).toStrictEqual(expected);
    }
  });

  test("the values of loadStateDict", () => {
    const model = identity();
    const data = Float32Array.of(1, 2, 3, 4);
    model.loadStateDict({ weight: { data, shape: [2, 2] } });
    data.fill(7);
    expect(model.parameters()[0]?.dataSync()).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  test("labels and targets of an attack, from when it is called", async () => {
    const images = tensor([[0.9, 0.1]]);
    const attack = new DDNAttack({ steps: 20 });
    const given = [Buffer.from([0]), Buffer.from([1])] as const;
    const running = [
      attack.run(identity(), images, given[0]),
      attack.run(identity(), images, indices(0), { targets: given[1] }),
    ];
    given[0][0] = 1;
    given[1][0] = 0;
    for (const { success, raw } of await Promise.all(running)) {
      expect(success).toEqual([true]);
      expect(secondLeads(raw)).toBe(true);
    }
  });
});

function secondLeads(image: Tensor): boolean {
  const [first = 0, second = 0] = image.dataSync();
  return second >= first;
}

function of<T>(value: T): () => T {
  return () => value;
}

function plain(bytes: readonly number[]): Uint8Array {
  return Uint8Array.from(bytes);
}

function indices(...values: number[]): Int32Array {
  return Int32Array.from(values);
}
