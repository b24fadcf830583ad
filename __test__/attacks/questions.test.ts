// What attacks that ask alone ask for: noises, blurs, contrasts, squares and other images, as a function sees them that is never fooled.
import {
  BinarySearchContrastReductionAttack,
  BlackBox,
  DatasetAttack,
  Flatten,
  GaussianBlurAttack,
  Generator,
  InversionAttack,
  L0,
  L2,
  L2AdditiveGaussianNoiseAttack,
  L2AdditiveUniformNoiseAttack,
  L2ClippingAwareAdditiveGaussianNoiseAttack,
  L2ClippingAwareAdditiveUniformNoiseAttack,
  L2ContrastReductionAttack,
  L2RepeatedAdditiveGaussianNoiseAttack,
  L2SquareAttack,
  Linear,
  LinearSearchBlendedUniformNoiseAttack,
  LinearSearchContrastReductionAttack,
  Linf,
  LinfAdditiveUniformNoiseAttack,
  LinfSquareAttack,
  type Norm,
  PointwiseAttack,
  type QueryAttack,
  SaltAndPepperNoiseAttack,
  Sequential,
  SpatialAttack,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";

/** Images [2, channels, height, width] away from their bounds but for some, on bounds that are not 0 and 1. */
const BOUNDS = [-0.5, 1.25] as const;
const [LOW, HIGH] = BOUNDS;
function picture(shape: readonly number[], seed = 5): Tensor {
  return new Generator({ seed })
    .uniform([2, ...shape])
    .mul(HIGH - LOW)
    .add(LOW);
}

/** All that an attack asks for of two images that are always told as class 0, the first question being the images; `[question][image]`. */
async function asked(
  attack: QueryAttack,
  images: Tensor,
  epsilons?: number[],
): Promise<{ questions: Float32Array[][]; originals: Float32Array[] }> {
  const [count = 0, ...shape] = images.shape;
  const size = shape.reduce((product, extent) => product * extent, 1);
  const calls: Float32Array[][] = [];
  const box = new BlackBox(
    (values, [n = 0]) => {
      for (let i = 0; i < n; i += count) {
        calls.push(Array.from({ length: count }, (_, k) => values.slice((i + k) * size, (i + k + 1) * size)));
      }
      return Float32Array.from({ length: 2 * n }, (_, k) => 1 - (k % 2));
    },
    { shape, classes: 2 },
  );
  const labels = new Array(count).fill(0);
  if (epsilons === undefined) await attack.run(box, images, labels, { bounds: BOUNDS });
  else await attack.run(box, images, labels, { bounds: BOUNDS, epsilons });
  return { questions: calls.slice(1), originals: calls[0] ?? [] };
}

const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance = 1e-5): void => {
  expect(a.length).toBe(b.length);
  for (let k = 0; k < a.length; k++) expect(Math.abs((a[k] ?? 0) - (b[k] ?? 0))).toBeLessThanOrEqual(tolerance);
};

const isWithin = (image: Float32Array): boolean => image.every((value) => value >= LOW && value <= HIGH);

describe("additive noise", () => {
  const far = tensor(new Float32Array(24).fill(0.4), [2, 12]);

  it.each<[Norm, () => QueryAttack]>([
    [L2, () => new L2AdditiveGaussianNoiseAttack({ seed: 1 })],
    [L2, () => new L2AdditiveUniformNoiseAttack({ seed: 1 })],
    [Linf, () => new LinfAdditiveUniformNoiseAttack({ seed: 1 })],
  ])("has the size of the radius away from the bounds: %#", async (norm, make) => {
    const { questions, originals } = await asked(make(), far, [0.25, 0.5]);
    expect(questions.length).toBe(2);
    questions.forEach((question, k) => {
      question.forEach((image, i) => {
        expect(norm.between(image, originals[i] ?? [])).toBeCloseTo([0.25, 0.5][k] ?? 0, 5);
      });
    });
  });

  it("in Linf norm is not rounded beyond the radius, so that nothing is asked again", async () => {
    const radius = 0.3;
    for (let seed = 0; seed < 20; seed++) {
      const { questions, originals } = await asked(new LinfAdditiveUniformNoiseAttack({ seed }), picture([40]), [
        radius,
      ]);
      for (const [i, image] of (questions[0] ?? []).entries()) {
        expect(Linf.between(image, originals[i] ?? [])).toBeLessThanOrEqual(radius);
      }
    }
  });

  it("that is repeated is drawn anew each time, the same for all images of a batch", async () => {
    const attack = new L2RepeatedAdditiveGaussianNoiseAttack({ seed: 1, repeats: 6 });
    const { questions, originals } = await asked(attack, far, [0.25]);
    expect(questions.length).toBe(6);
    const noise = (question: Float32Array[], i: number): number[] =>
      Array.from(question[i] ?? [], (value, k) => value - (originals[i]?.[k] ?? 0));
    for (const question of questions) close(noise(question, 0), noise(question, 1));
    expect(new Set(questions.map(([first]) => first?.join())).size).toBe(6);
  });

  it.each<[string, () => QueryAttack]>([
    ["Gaussian", () => new L2ClippingAwareAdditiveGaussianNoiseAttack({ seed: 1 })],
    ["uniform", () => new L2ClippingAwareAdditiveUniformNoiseAttack({ seed: 1 })],
  ])("that is aware of clipping has the size of the radius once clipped: %s", async (_, make) => {
    // Half the pixels are on a bound, so that half of what moves them is clipped.
    const values = picture([40])
      .dataSync()
      .map((value, k) => (k % 4 === 0 ? LOW : k % 4 === 1 ? HIGH : value));
    const { questions, originals } = await asked(make(), tensor(values, [2, 40]), [0.1, 1, 2.5]);
    expect(questions.length).toBe(3);
    questions.forEach((question, k) => {
      question.forEach((image, i) => {
        expect(isWithin(image)).toBe(true);
        expect(L2.between(image, originals[i] ?? [])).toBeCloseTo([0.1, 1, 2.5][k] ?? 0, 4);
      });
    });
    // No image of the bounds is so far: each pixel that moves goes to the bound that it moves to.
    const most = await asked(make(), tensor(values, [2, 40]), [100]);
    for (const image of most.questions[0] ?? []) {
      const ends = image.filter((value) => Math.abs(value - LOW) < 1e-5 || Math.abs(value - HIGH) < 1e-5);
      expect(ends.length).toBe(40);
    }
  });
});

describe("contrast", () => {
  const images = picture([3, 4]);
  const grey = (share: number): number => LOW + share * (HIGH - LOW);

  it("is reduced by as much as the radius, and not beyond grey", async () => {
    const { questions, originals } = await asked(new L2ContrastReductionAttack({ target: 0.25 }), images, [0.5, 50]);
    questions[0]?.forEach((image, i) => {
      const original = originals[i] ?? new Float32Array();
      expect(L2.between(image, original)).toBeCloseTo(0.5, 5);
      const way = original.map((value) => grey(0.25) - value);
      const length = Math.hypot(...way);
      close(
        image,
        original.map((value, k) => value + (0.5 * (way[k] ?? 0)) / length),
      );
    });
    for (const image of questions[1] ?? []) close(image, new Float32Array(12).fill(grey(0.25)));
  });

  it("is reduced in equal steps", async () => {
    const { questions, originals } = await asked(new LinearSearchContrastReductionAttack({ steps: 4 }), images);
    expect(questions.length).toBe(4);
    questions.forEach((question, k) => {
      question.forEach((image, i) => {
        const share = (k + 1) / 4;
        close(
          image,
          (originals[i] ?? new Float32Array()).map((value) => value + share * (grey(0.5) - value)),
        );
      });
    });
  });

  it("is not halved where grey is no adversarial", async () => {
    expect((await asked(new BinarySearchContrastReductionAttack(), images)).questions.length).toBe(1);
  });

  it("is reduced by halves to the share where the class changes", async () => {
    // Class 1 where the sum of the pixels is above 1: at a share that is known.
    const model = new Sequential([
      new Flatten(),
      new Linear(
        4,
        2,
        {},
        {
          weight: tensor([
            [0, 0, 0, 0],
            [1, 1, 1, 1],
          ]),
          bias: tensor([1, 0]),
        },
      ),
    ]);
    const dark = tensor([
      [
        [0.1, 0.2],
        [0.1, 0.1],
      ],
    ]);
    const attack = new BinarySearchContrastReductionAttack({ binarySearchSteps: 20, distance: Linf });
    const { distances, queries } = await attack.run(model, dark, [0]);
    // 0.5 + 1.5 s = 1, by which the pixel of 0.1 moves 0.4 s.
    expect(distances[0]).toBeCloseTo(0.4 / 3, 5);
    expect(queries).toEqual([22]);
  });
});

it("salt and pepper put pixels on their bounds, all channels alike, more and more of them", async () => {
  const images = picture([3, 8, 8]);
  const { questions, originals } = await asked(new SaltAndPepperNoiseAttack({ steps: 20, seed: 1 }), images);
  expect(questions.length).toBe(20);
  const changed = questions.map((question) =>
    question.map((image, i) => {
      const at = (c: number, p: number): number | undefined => {
        const value = image[c * 64 + p];
        if (value === originals[i]?.[c * 64 + p]) return undefined;
        expect([LOW, HIGH]).toContain(value);
        return value;
      };
      const pixels = Array.from({ length: 64 }, (_, p) => [at(0, p), at(1, p), at(2, p)]);
      for (const [red, green, blue] of pixels) expect([green, blue]).toEqual([red, red]);
      return pixels.filter(([red]) => red !== undefined).length;
    }),
  );
  const first = changed.map(([one = 0]) => one);
  expect(changed.every(([one, two]) => one === two)).toBe(true);
  // 5 % of 64 pixels at first, all of them in the end.
  expect(first[0]).toBeLessThan(10);
  expect(first.at(-1)).toBe(64);
  const apart = await asked(new SaltAndPepperNoiseAttack({ steps: 20, acrossChannels: false, seed: 1 }), images);
  const [middle = new Float32Array()] = apart.questions[10] ?? [];
  const differs = (c: number, p: number): boolean => middle[c * 64 + p] !== originals[0]?.[c * 64 + p];
  expect(Array.from({ length: 64 }, (_, p) => differs(0, p) !== differs(1, p)).some(Boolean)).toBe(true);
});

it("an inverted image is as far from one bound as it was from the other", async () => {
  const { questions, originals } = await asked(new InversionAttack(), picture([5]));
  expect(questions.length).toBe(1);
  questions[0]?.forEach((image, i) => {
    close(
      image,
      (originals[i] ?? new Float32Array()).map((value) => HIGH - (value - LOW)),
    );
  });
});

it("blurs are those of Gaussian filters of the widths that are asked for", async () => {
  // scipy.ndimage.gaussian_filter (1.17) of ((7 k) mod 11) / 11 as [3, 4], its defaults, of sigma 0.5, 1, 2 and 4.
  const expected = [
    [
      0.114825, 0.504082, 0.41473, 0.803779, 0.422783, 0.349628, 0.638956, 0.481919, 0.195985, 0.585006, 0.400619,
      0.087687,
    ],
    [
      0.286458, 0.402687, 0.522452, 0.620337, 0.3339, 0.419605, 0.475463, 0.474936, 0.336281, 0.421462, 0.403946,
      0.302474,
    ],
    [
      0.389534, 0.411331, 0.440739, 0.46054, 0.387511, 0.405446, 0.429109, 0.444647, 0.385449, 0.399525, 0.417446,
      0.428722,
    ],
    [
      0.415972, 0.416387, 0.416969, 0.417381, 0.415962, 0.416377, 0.416959, 0.417371, 0.415951, 0.416366, 0.416947,
      0.41736,
    ],
  ];
  const values = Float32Array.from({ length: 24 }, (_, k) => (((k % 12) * 7) % 11) / 11);
  const { questions } = await asked(new GaussianBlurAttack({ steps: 8 }), tensor(values, [2, 1, 3, 4]));
  expect(questions.length).toBe(8);
  [0, 1, 3, 7].forEach((k, row) => {
    for (const image of questions[k] ?? []) close(image, expected[row] ?? [], 2e-6);
  });
  // The same pixels with their channels behind them.
  const behind = await asked(new GaussianBlurAttack({ steps: 4, channelAxis: 3 }), tensor(values, [2, 3, 4, 1]));
  close(behind.questions[0]?.[0] ?? [], expected[1] ?? [], 2e-6);
  await expect(asked(new GaussianBlurAttack({ maxSigma: 41 }), tensor(values, [2, 1, 3, 4]))).rejects.toThrow(
    "maxSigma must be at most 40",
  );
  await expect(asked(new GaussianBlurAttack(), tensor(new Float32Array(32_000), [2, 16_000]))).rejects.toThrow(
    "GaussianBlurAttack cannot blur a side of 16000 pixels so widely",
  );
});

describe("turned and moved images", () => {
  const values = Float32Array.from({ length: 32 }, (_, k) => (((k % 16) * 7) % 11) / 11);
  const images = tensor(values, [2, 1, 4, 4]);

  it("lie between their pixels as bilinear interpolation has it", async () => {
    // rotate_and_shift of foolbox 3.3.4 of the same pixels, by -30 and 15 degrees.
    const expected = [
      [
        0.233917, 0.304749, 0.541871, 0.137062, 0.165559, 0.363258, 0.57465, 0.620979, 0.442425, 0.58683, 0.441171,
        0.353147, 0.131031, 0.75376, 0.414743, 0.012062,
      ],
      [
        0.185329, 0.450707, 0.540398, 0.470243, 0.34435, 0.309633, 0.710752, 0.249167, 0.253579, 0.59234, 0.461727,
        0.268112, 0.262981, 0.422753, 0.600207, 0.467475,
      ],
    ];
    const turned = (maxRotation: number) =>
      asked(new SpatialAttack({ maxRotation, numRotations: 2, numTranslations: 1 }), images);
    for (const image of (await turned(30)).questions[0] ?? []) close(image, expected[0] ?? [], 2e-6);
    for (const image of (await turned(15)).questions[1] ?? []) close(image, expected[1] ?? [], 2e-6);
  });

  it("are moved by whole pixels, with 0 beside them", async () => {
    const attack = new SpatialAttack({ maxTranslation: 1, numTranslations: 3, numRotations: 1 });
    const { questions } = await asked(attack, images);
    expect(questions.length).toBe(8);
    const [first = new Float32Array()] = questions[0] ?? [];
    const at = (r: number, c: number): number => (r < 0 || c < 0 ? 0 : (values[4 * r + c] ?? 0));
    close(
      first,
      Array.from({ length: 16 }, (_, k) => at(Math.floor(k / 4) - 1, (k % 4) - 1)),
    );
    const drawn = await asked(new SpatialAttack({ gridSearch: false, randomSteps: 7, seed: 1 }), images);
    expect(new Set(drawn.questions.map(([one]) => one?.join())).size).toBe(7);
  });
});

it("images are blended with a noise that is adversarial, step by step", async () => {
  const images = picture([6]);
  const { questions } = await asked(new LinearSearchBlendedUniformNoiseAttack({ directions: 9, seed: 1 }), images);
  // None is adversarial, so that no blend is asked for.
  expect(questions.length).toBe(9);
  for (const [one = new Float32Array(), two] of questions) {
    expect(one).toEqual(two);
    expect(isWithin(one)).toBe(true);
  }
  const all = questions.flatMap(([one]) => [...(one ?? [])]);
  expect(Math.min(...all)).toBeLessThan(LOW + 0.2);
  expect(Math.max(...all)).toBeGreaterThan(HIGH - 0.2);
  // Class 1 where the first pixel is above 0.5.
  const model = new Linear(
    2,
    2,
    {},
    {
      weight: tensor([
        [0, 0],
        [1, 0],
      ]),
      bias: tensor([0.5, 0]),
    },
  );
  const attack = new LinearSearchBlendedUniformNoiseAttack({ steps: 100, seed: 2, distance: Linf });
  const { raw } = await attack.run(model, tensor([[0.1, 0.3]]), [0]);
  // It is just above: by less than a hundredth of the way.
  expect(raw.dataSync()[0]).toBeGreaterThan(0.5);
  expect(raw.dataSync()[0]).toBeLessThan(0.5 + 0.01);
});

describe("images of a data set", () => {
  it("are asked for once each, in an order that is drawn", async () => {
    const pool = picture([4], 9).concat(picture([4], 10), 0);
    const attack = new DatasetAttack({ seed: 1 }).feed(pool.slice([0], [1])).feed(pool.slice([1], [4]));
    const { questions } = await asked(attack, picture([4]));
    const rows = Array.from({ length: 4 }, (_, i) => [...pool.dataSync().slice(4 * i, 4 * i + 4)].join());
    const seen = questions.map(([one = []]) => [...one].join());
    expect([...seen].sort()).toEqual([...rows].sort());
    const other = new DatasetAttack({ seed: 5 }).feed(pool);
    const orders = [seen, (await asked(other, picture([4]))).questions.map(([one = []]) => [...one].join())];
    expect(orders[0]).not.toEqual(orders[1]);
  });

  it("are needed, of the shape of those that are attacked", async () => {
    const fed = new DatasetAttack().feed(picture([3]));
    await expect(asked(fed, picture([4]))).rejects.toThrow("DatasetAttack was fed no images of shape [n, 4]");
    expect(() => new DatasetAttack().feed([1, 2] as unknown as Tensor)).toThrow("feed() takes images as a tensor");
  });

  it("that are outside the bounds do not count", async () => {
    const model = new Linear(1, 2, {}, { weight: tensor([[1], [-1]]), bias: tensor([0, 0]) });
    const attack = new DatasetAttack({ seed: 1 }).feed(tensor([[-3], [-0.5]]));
    const { raw } = await attack.run(model, tensor([[0.5]]), [0], { bounds: [-1, 1] });
    expect([...raw.dataSync()]).toEqual([-0.5]);
  });
});

describe("pixels of a pointwise attack", () => {
  // Class 1 where the second pixel is above 0.5: no other one matters.
  const weight = [new Array(9).fill(0), Array.from({ length: 9 }, (_, k) => Number(k === 1))];
  const model = new Linear(9, 2, {}, { weight: tensor(weight), bias: tensor([0.5, 0]) });
  const images = tensor(new Float32Array(18).fill(0.25), [2, 9]);

  it("are set back but for those that matter", async () => {
    const attack = new PointwiseAttack({ distance: L0, l2BinarySearch: false, seed: 1 });
    const { distances, raw } = await attack.run(model, images, [0, 0]);
    expect([...distances]).toEqual([1, 1]);
    expect(raw.dataSync()[1]).toBe(1);
  });

  it("are moved back as far as they can be", async () => {
    const { distances, raw } = await new PointwiseAttack({ seed: 1 }).run(model, images, [0, 0]);
    for (const at of [1, 10]) {
      expect(raw.dataSync()[at]).toBeGreaterThan(0.5);
      expect(raw.dataSync()[at]).toBeLessThan(0.5 + 2 ** -9);
    }
    for (const distance of distances) expect(distance).toBeCloseTo(0.25, 2);
  });
});

describe("squares", () => {
  const shape = [3, 10, 10];
  const images = tensor(new Float32Array(600).fill(0.4), [2, ...shape]);
  const steps = 300;

  it("begin as stripes in L∞ norm, and each pixel is moved by the radius", async () => {
    const { questions, originals } = await asked(new LinfSquareAttack({ steps, seed: 1 }), images, [0.125]);
    expect(questions.length).toBe(steps);
    const moves = questions.map(([one = new Float32Array()]) =>
      one.map((value, k) => value - (originals[0]?.[k] ?? 0)),
    );
    for (const move of moves)
      expect(Math.max(...move.map((value) => Math.abs(Math.abs(value) - 0.125)))).toBeLessThan(1e-6);
    const [first = new Float32Array()] = moves;
    expect(first).toEqual(first.map((_, k) => first[Math.floor(k / 100) * 100 + (k % 10)] ?? 0));
    // A question differs from what was kept by one square at most, 9 pixels wide at first and one in the end; nothing is kept here.
    const widest = (move: Float32Array): number => {
      const rows = Array.from(move.keys()).filter((k) => move[k] !== first[k]);
      const columns = rows.map((k) => k % 10);
      return rows.length === 0 ? 0 : Math.max(...columns) - Math.min(...columns) + 1;
    };
    expect(Math.max(...moves.slice(1, 4).map(widest))).toBeGreaterThan(5);
    expect(Math.max(...moves.slice(-40).map(widest))).toBe(1);
  });

  it("are as large as the radius at most in L2 norm, and near it", async () => {
    const { questions, originals } = await asked(new L2SquareAttack({ steps, seed: 1 }), images, [0.5]);
    expect(questions.length).toBe(steps);
    for (const question of questions) {
      question.forEach((image, i) => {
        const distance = L2.between(image, originals[i] ?? []);
        expect(distance).toBeLessThan(0.5 + 1e-6);
        expect(distance).toBeGreaterThan(0.5 - 1e-3);
      });
    }
    expect(new Set(questions.map(([one]) => one?.join())).size).toBe(steps);
  });
});
