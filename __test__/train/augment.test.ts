// Augmentation in fit: what a step is given, how it is distributed, and that it follows from seed, epoch and step alone.
import {
  type Augmentation,
  accuracy,
  assign,
  CrossEntropyLoss,
  cutout,
  type Dataset,
  type FitOptions,
  Flatten,
  fit,
  fromArrays,
  GroupSort2,
  HKRMulticlassLoss,
  type Loss,
  type Metrics,
  Module,
  MSELoss,
  manualSeed,
  mixup,
  Parameter,
  randomCrop,
  randomFlip,
  randomShift,
  Sequential,
  SGD,
  SpectralLinear,
  type State,
  state,
  type Tensor,
  TrainingPosition,
  TrainingState,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf, weightsOf } from "./subset.js";

const [HEIGHT, WIDTH] = [5, 6];
const SIZE = HEIGHT * WIDTH;

/** Images whose pixels all differ, none of them 0. */
function images(samples: number, channels = 1): Dataset {
  const pixels = Uint8Array.from({ length: samples * channels * SIZE }, (_, i) => 1 + ((i * 7) % 251));
  const labels = Array.from({ length: samples }, (_, i) => i % 3);
  return fromArrays(pixels, [samples, channels, HEIGHT, WIDTH], labels);
}

/** Keeps what the last step has seen of images and targets. */
class Seen extends Module implements Loss {
  readonly seen: State;
  readonly weight = new Parameter(tensor([1]));
  targets: State | undefined;

  constructor(shape: readonly number[]) {
    super();
    this.seen = state(zeros(shape));
  }

  override forward(x: Tensor, target?: Tensor): Tensor {
    if (target === undefined) {
      assign(this.seen, x);
      return x.reshape([x.shape[0] ?? 0, -1]).mul(this.weight);
    }
    this.targets ??= state(zeros(target.shape, { dtype: target.dtype }));
    assign(this.targets, target);
    return x.sum().mul(1e-3);
  }
}

const options = (loss: Loss, augment: readonly Augmentation[]) => ({
  epochs: 1,
  loss,
  optimizer: new SGD({ lr: 1e-6 }),
  augment,
  shuffle: false,
  verbose: false,
});

/** What the only step of an epoch sees of a data set. */
async function seen(data: Dataset, augment: Augmentation[], more: Partial<FitOptions<Metrics>> = {}) {
  const model = new Seen([data.length, ...data.shape]);
  await fit(model, data, { ...options(model, augment), batchSize: data.length, ...more });
  return { images: Array.from(model.seen.dataSync()), targets: Array.from(model.targets?.dataSync() ?? []) };
}

const pixelsOf = (data: Dataset): number[] =>
  Array.from(data.imagesRaw, (byte) => Math.fround(Math.fround(byte) / 255));

/** A sample's planes, as functions of row and column that are 0 outside. */
function planes(values: number[], data: Dataset, sample: number): ((row: number, column: number) => number)[] {
  const [channels = 1] = data.shape;
  return Array.from({ length: channels }, (_, c) => {
    const start = (sample * channels + c) * SIZE;
    return (row, column) =>
      row < 0 || row >= HEIGHT || column < 0 || column >= WIDTH
        ? 0
        : (values[start + row * WIDTH + column] ?? Number.NaN);
  });
}

type At = (row: number, column: number) => number;

/** Whether all planes of a sample are those of another under a map. */
function same(got: At[], want: At[], from: (row: number, column: number, at: At) => number): boolean {
  return got.every((plane, c) =>
    Array.from({ length: SIZE }, (_, i) => [Math.floor(i / WIDTH), i % WIDTH] as const).every(
      ([row, column]) => plane(row, column) === from(row, column, want[c] ?? (() => Number.NaN)),
    ),
  );
}

const SAMPLES = 300;
const data = images(SAMPLES, 2);

/** How often each of some maps is that of a sample; each sample has to have exactly one. */
async function mapsOf<K>(augment: Augmentation, maps: readonly [K, (row: number, column: number, at: At) => number][]) {
  const { images: got } = await seen(data, [augment]);
  const given = pixelsOf(data);
  const counts = new Map<K, number>(maps.map(([key]) => [key, 0]));
  for (let sample = 0; sample < SAMPLES; sample++) {
    const [one, other] = [planes(got, data, sample), planes(given, data, sample)];
    const found = maps.filter(([, map]) => same(one, other, map));
    expect(found).toHaveLength(1);
    for (const [key] of found) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts.values()];
}

/** Six standard deviations of how often one of so many equally likely things is drawn. */
function expectEven(counts: readonly number[]): void {
  const share = 1 / counts.length;
  for (const count of counts) {
    expect(Math.abs(count - SAMPLES * share)).toBeLessThan(6 * Math.sqrt(SAMPLES * share * (1 - share)));
  }
}

const offsets = (most: number) => Array.from({ length: 2 * most + 1 }, (_, i) => i - most);

describe("augmentation of images", () => {
  it("shifts each by whole pixels both ways, all channels alike, with 0 where nothing was", async () => {
    const shifts = offsets(1).flatMap((dy) => offsets(1).map((dx) => [dy, dx] as const));
    expectEven(
      await mapsOf(
        randomShift({ pixels: 1 }),
        shifts.map((shift) => [shift.join(), (r, c, at) => at(r + shift[0], c + shift[1])]),
      ),
    );
  });

  it.each([
    ["horizontal", (r: number, c: number, at: At) => at(r, WIDTH - 1 - c)],
    ["vertical", (r: number, c: number, at: At) => at(HEIGHT - 1 - r, c)],
  ] as const)("mirrors half of them, %s", async (axis, mirrored) => {
    expectEven(
      await mapsOf(randomFlip({ axis }), [
        ["as it is", (r, c, at) => at(r, c)],
        ["mirrored", mirrored],
      ]),
    );
  });

  it("mirrors all or none with probability 1 or 0", async () => {
    const as = (r: number, c: number, at: At) => at(r, c);
    const mirrored = (r: number, c: number, at: At) => at(r, WIDTH - 1 - c);
    expect(
      await mapsOf(randomFlip({ probability: 1 }), [
        ["as", as],
        ["mirrored", mirrored],
      ]),
    ).toEqual([0, SAMPLES]);
    expect(
      await mapsOf(randomFlip({ probability: 0 }), [
        ["as", as],
        ["mirrored", mirrored],
      ]),
    ).toEqual([SAMPLES, 0]);
  });

  it("cuts out of padded images: with zeros, or what the mode says", async () => {
    const crops = offsets(1).flatMap((dy) => offsets(1).map((dx) => [dy, dx] as const));
    const clamp = (value: number, end: number) => Math.min(end - 1, Math.max(0, value));
    expectEven(
      await mapsOf(
        randomCrop({ padding: 1 }),
        crops.map((crop) => [crop.join(), (r, c, at) => at(r + crop[0], c + crop[1])]),
      ),
    );
    expectEven(
      await mapsOf(
        randomCrop({ padding: 1, mode: "replicate" }),
        crops.map((crop) => [crop.join(), (r, c, at) => at(clamp(r + crop[0], HEIGHT), clamp(c + crop[1], WIDTH))]),
      ),
    );
  });

  it.each([1, 2, 3, 40])(
    "sets a square of %i pixels around a pixel to a value, as far as it is inside",
    async (size) => {
      const value = 0.5;
      const centres = Array.from({ length: SIZE }, (_, i) => [Math.floor(i / WIDTH), i % WIDTH] as const);
      const { images: got } = await seen(data, [cutout({ size, value })]);
      const given = pixelsOf(data);
      for (let sample = 0; sample < SAMPLES; sample++) {
        const [one, other] = [planes(got, data, sample), planes(given, data, sample)];
        const inside = (at: number, centre: number) =>
          at >= centre - Math.floor(size / 2) && at < centre - Math.floor(size / 2) + size;
        const found = centres.filter(([y, x]) =>
          same(one, other, (r, c, at) => (inside(r, y) && inside(c, x) ? value : at(r, c))),
        );
        expect(found.length).toBeGreaterThan(0);
      }
    },
  );

  it("is done in the order of the list, and takes images [h, w] and of one column", async () => {
    const narrow = fromArrays(Float32Array.of(1, 2, 3, 4), [2, 2, 1], [0, 1]);
    const flips = [randomFlip({ probability: 1 }), randomFlip({ axis: "vertical", probability: 1 })];
    expect((await seen(narrow, flips)).images).toEqual([2, 1, 4, 3]);
    expect((await seen(narrow, [...flips, cutout({ size: 9, value: 7 })])).images).toEqual([7, 7, 7, 7]);
    expect((await seen(narrow, [cutout({ size: 9, value: 7 }), ...flips])).images).toEqual([7, 7, 7, 7]);
  });
});

describe("an augmentation of sequences [channels, length]", () => {
  const lengths = 4;
  const data = fromArrays(
    Float32Array.from({ length: 2 * 3 * lengths }, (_, i) => i + 1),
    [2, 3, lengths],
    [0, 1],
  );
  /** The rows of each sample: its channels in their order. */
  const rows = (values: readonly number[]) =>
    Array.from({ length: 6 }, (_, row) => values.slice(lengths * row, lengths * (row + 1)));
  const channels = (row: readonly number[]) => row.filter((x) => x > 0).map((x) => Math.floor((x - 1) / lengths));

  it.each([
    ["randomShift", randomShift({ pixels: 2, axes: 1 })],
    ["randomFlip", randomFlip({ probability: 1, axes: 1 })],
    ["randomCrop", randomCrop({ padding: 2, axes: 1 })],
    ["cutout", cutout({ size: 2, axes: 1 })],
  ])("%s changes the length alone: each channel stays where it is, and all as one", async (_, augmentation) => {
    let changed = 0;
    for (let seed = 0; seed < 8; seed++) {
      const { images } = await seen(data, [augmentation], { seed });
      const given = rows(images);
      given.forEach((row, at) => {
        expect(channels(row).length).toBeGreaterThan(0);
        for (const channel of channels(row)) expect(channel).toBe(at);
        // Beside the first channel of the sample, moved in the same way.
        const first = given[at < 3 ? 0 : 3] ?? [];
        const by = lengths * (at < 3 ? at : at - 3);
        expect(row.map((x) => (x > 0 ? x - by : 0))).toEqual(first);
        if (row.some((x, i) => x !== lengths * at + i + 1)) changed++;
      });
    }
    expect(changed).toBeGreaterThan(0);
  });

  it("flips its whole length, has no top and bottom, and is told by an option that is 1 or 2", async () => {
    const { images } = await seen(data, [randomFlip({ probability: 1, axes: 1 })]);
    expect(rows(images)[1]).toEqual([8, 7, 6, 5]);
    expect(() => randomFlip({ axis: "vertical", axes: 1 })).toThrow(/cannot flip sequences/);
    expect(() => cutout({ size: 1, axes: 3 as never })).toThrow(/axes must be 2, of images .* or 1.*; given 3/);
    const flat = fromArrays(Float32Array.of(1, 2, 3, 4), [2, 2], [0, 1]);
    await expect(seen(flat, [randomShift({ pixels: 1 })])).rejects.toThrow(
      /have shape \[2\]; for sequences give it axes: 1/,
    );
    expect((await seen(flat, [randomFlip({ probability: 1, axes: 1 })])).images).toEqual([2, 1, 4, 3]);
  });
});

describe("an augmentation of one's own", () => {
  it.each<[string, (given: { images: unknown }) => unknown, RegExp]>([
    ["nothing", () => undefined, /augment\[1\] must return \{ images, targets \}, both tensors; it gave undefined/],
    ["images alone", ({ images }) => ({ images }), /augment\[1\] must return \{ images, targets \}/],
    ["a promise", async (given) => given, /augment\[1\] must return.*it gave a Promise/],
  ])("that returns %s is refused by its place", async (_, apply, message) => {
    const data = fromArrays(Float32Array.of(1, 2, 3, 4), [2, 2, 1], [0, 1]);
    await expect(seen(data, [randomFlip(), { apply: apply as never }])).rejects.toThrow(message);
  });
});

describe("mixup", () => {
  const one = fromArrays(
    Float32Array.from({ length: 400 }, (_, i) => i),
    [400, 1],
    Array.from({ length: 400 }, (_, i) => i % 2),
  );

  it.each([0.1, 0.2, 1, 2, 8])(
    "mixes by shares of Beta(a, a), a = %d, each sample counting most as itself",
    async (alpha) => {
      // With one hot image a sample its own share can be read off.
      const n = 64;
      const identity = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
      const hot = fromArrays(
        identity,
        [n, n],
        Array.from({ length: n }, (_, i) => i % 3),
      );
      const shares: number[] = [];
      for (let seed = 0; seed < 20; seed++) {
        const { images: got, targets } = await seen(hot, [mixup({ alpha })], { seed });
        const partners = new Set<number>();
        for (let i = 0; i < n; i++) {
          const row = got.slice(i * n, (i + 1) * n);
          const partner = row.findIndex((value, k) => k !== i && value > 0);
          const own = row[i] ?? 0;
          expect(row.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 6);
          expect(own).toBeGreaterThanOrEqual(0.5);
          const rows = targets.slice(3 * i, 3 * i + 3);
          const want = [0, 0, 0];
          want[i % 3] = own;
          const other = partner < 0 ? i : partner;
          want[other % 3] = (want[other % 3] ?? 0) + 1 - own;
          for (const [c, value] of want.entries()) expect(rows[c]).toBeCloseTo(value, 6);
          if (partner >= 0) {
            partners.add(partner);
            shares.push(own);
          }
        }
        expect(partners.size).toBeGreaterThan(n / 4);
      }
      // The variance of Beta(a, a) is that of its larger share about one half. Shares that round to 1 are not seen: next to none for these.
      if (alpha < 0.2) return;
      const variance = shares.reduce((sum, share) => sum + (share - 0.5) ** 2, 0) / shares.length;
      const expected = 1 / (4 * (2 * alpha + 1));
      expect(Math.abs(variance / expected - 1)).toBeLessThan(0.1);
    },
  );

  it("mixes numbers as it mixes images, and gives metrics the targets themselves", async () => {
    const numbers = fromArrays(Float32Array.of(1, 2, 3, 4), [4, 1], tensor([10, 20, 30, 40], [4, 1]));
    const { images: got, targets } = await seen(numbers, [mixup({ alpha: 1 })]);
    targets.forEach((target, i) => expect(target / 10).toBeCloseTo(got[i] ?? Number.NaN, 5));
    const model = new Seen([4, 1]);
    const metric = (_: Tensor, labels: Tensor) => labels.sum();
    const { epochs } = await fit(model, numbers, {
      ...options(model, [mixup()]),
      batchSize: 4,
      metrics: { metric },
    });
    expect(epochs[0]?.metric).toBe(100);
  });

  it("leaves a sample that is alone in its batch as it is, but for rounding", async () => {
    const single = fromArrays(Float32Array.of(0.3, 0.7), [1, 2], [0], { classNames: ["a", "b"] });
    const { images: got, targets } = await seen(single, [mixup({ alpha: 1 })]);
    expect(got[0]).toBeCloseTo(0.3, 6);
    expect(got[1]).toBeCloseTo(0.7, 6);
    expect(targets).toEqual([1, 0]);
  });

  it("trains with losses of probabilities and of numbers, and is refused by those of labels, by name", async () => {
    manualSeed(1);
    const model = new Sequential([new SpectralLinear(1, 4), new GroupSort2(), new SpectralLinear(4, 2)]);
    const train = (loss: Loss, set = one) =>
      fit(model, set, { ...options(loss, [mixup()]), batchSize: 100, metrics: { acc: accuracy() } });
    const { epochs } = await train(new CrossEntropyLoss());
    expect(Number.isFinite(epochs[0]?.loss)).toBe(true);
    await expect(train(new HKRMulticlassLoss({ alpha: 10 }))).rejects.toThrow(
      /mixup mixes targets, and HKRMulticlassLoss takes labels that are 0 or 1/,
    );
    // What comes behind mixup may give back other tensors of the same targets.
    const rewritten: Augmentation = { apply: ({ images, targets }) => ({ images, targets: targets.mul(1) }) };
    const behind = (augment: Augmentation[], loss: Loss) =>
      fit(model, one, { ...options(loss, augment), batchSize: 100 });
    await expect(behind([mixup(), rewritten], new HKRMulticlassLoss({ alpha: 10 }))).rejects.toThrow(
      /mixup mixes targets, and HKRMulticlassLoss takes labels that are 0 or 1/,
    );
    const decided: Augmentation = {
      apply: ({ images, targets }) => ({ images, targets: targets.argmax(1).oneHot(2), mixed: undefined }),
    };
    expect((await behind([mixup(), decided], new HKRMulticlassLoss({ alpha: 10 }))).epochs).toHaveLength(1);
    const signs = tensor(
      Array.from({ length: 800 }, (_, i) => (i % 2 === 0 ? 1 : -1)),
      [400, 2],
    );
    const signed = fromArrays(one.imagesRaw, [400, 1], signs);
    await expect(train(new CrossEntropyLoss(), signed)).rejects.toThrow(/CrossEntropyLoss takes mixed rows of 0 and 1/);
    expect((await train(new MSELoss(), signed)).epochs).toHaveLength(1);
    const ignoring = fromArrays(one.imagesRaw, [400, 1], one.labelsRaw, { ignoreIndex: 1 });
    await expect(train(new CrossEntropyLoss({ ignoreIndex: 1 }), ignoring)).rejects.toThrow(
      /mixup cannot mix samples that do not count/,
    );
  });
});

describe("what is drawn", () => {
  const every = [randomShift({ pixels: 2 }), randomFlip(), randomCrop({ padding: 1 }), cutout({ size: 2 }), mixup()];
  const few = images(23);

  function training(seed = 3) {
    manualSeed(1);
    const model = new Sequential([
      new Flatten(),
      new SpectralLinear(SIZE, 8),
      new GroupSort2(),
      new SpectralLinear(8, 3),
    ]);
    const parts = { model, optimizer: new SGD({ lr: 0.1, momentum: 0.9 }), position: new TrainingPosition() };
    const train = (more: Partial<FitOptions<Metrics>> = {}) =>
      fit(model, few, {
        epochs: 3,
        batchSize: 5,
        loss: new CrossEntropyLoss(),
        optimizer: parts.optimizer,
        position: parts.position,
        augment: every,
        seed,
        verbose: false,
        ...more,
      });
    return { model, train, state: new TrainingState(parts) };
  }

  it("is the same for the same seed, and differs with the seed, the epoch and the step", async () => {
    const [a, b, c, d] = [training(), training(), training(4), training()];
    await Promise.all([a.train(), b.train(), c.train(), d.train({ augment: [] })]);
    expect(weightsOf(b.model)).toEqual(weightsOf(a.model));
    expect(weightsOf(c.model)).not.toEqual(weightsOf(a.model));
    expect(weightsOf(d.model)).not.toEqual(weightsOf(a.model));
    const twice = fromArrays(few.imagesRaw, [23, 1, HEIGHT, WIDTH], few.labelsRaw).subset(
      [...Array(46).keys()].map((i) => i % 23),
    );
    const shapes = new Set<string>();
    const model = new Seen([23, ...few.shape]);
    const look = () => void shapes.add(model.seen.dataSync().join());
    await fit(model, twice, {
      ...options(model, [randomShift({ pixels: 2 })]),
      batchSize: 23,
      epochs: 2,
      callbacks: [{ onEpochEnd: look }],
    });
    const half = new Seen([23, ...few.shape]);
    await fit(half, twice, {
      ...options(half, [randomShift({ pixels: 2 })]),
      batchSize: 23,
      maxSteps: 1,
      position: new TrainingPosition(),
    });
    shapes.add(half.seen.dataSync().join());
    expect(shapes.size).toBe(3);
  });

  it("is drawn again by a training that goes on, after any step", async () => {
    const whole = training();
    await whole.train();
    for (const stop of [1, 4, 5, 9, 14]) {
      const first = training();
      await first.train({ maxSteps: stop });
      const snapshot = await first.state.snapshot();
      const second = training();
      second.state.restore(snapshot);
      await second.train();
      expect(weightsOf(second.model)).toEqual(weightsOf(whole.model));
    }
  });

  it("leaves validation as it is", async () => {
    const { train, model } = training();
    const { epochs } = await train({ validation: few, epochs: 1 });
    const again = await fit(model, few, {
      ...options(new CrossEntropyLoss(), []),
      optimizer: new SGD({ lr: 0 }),
      batchSize: 23,
      validation: few,
    });
    expect(epochs[0]?.["val_loss"]).toBe(again.epochs[0]?.val_loss);
  });
});

describe("augmentation is refused", () => {
  it.each<[unknown, RegExp]>([
    [randomFlip(), /augment must be a list such as/],
    [[randomFlip], /augment must be a list such as/],
    [["flip"], /augment must be a list such as/],
  ])("as %o", async (augment, message) => {
    await expect(seen(data, augment as Augmentation[])).rejects.toThrow(message);
  });

  it("for samples that are no images", async () => {
    const rows = fromArrays(new Float32Array(8), [2, 4], [0, 1]);
    for (const augment of [randomFlip(), randomShift({ pixels: 1 }), randomCrop({ padding: 1 }), cutout({ size: 1 })]) {
      expect(await codeOf(() => seen(rows, [augment]))).toBe("SHAPE_MISMATCH");
    }
  });

  it.each([
    () => randomShift({ pixels: 0 }),
    () => randomShift({} as never),
    () => randomFlip({ probability: 1.1 }),
    () => randomCrop({ padding: 1.5 }),
    () => cutout({ size: 0 }),
    () => mixup({ alpha: 0 }),
  ])("with options that make no sense", async (make) => {
    expect(await codeOf(make)).toBe("INVALID_ARGUMENT");
  });
});
