// Losses of certified training against plain loops in float64, and what they do to a model.
import {
  CertificateRegularization,
  CrossEntropyLoss,
  certify,
  compile,
  EMMALoss,
  fit,
  fromArrays,
  functional,
  grad,
  LogitAnnealingLoss,
  type Loss,
  manualSeed,
  OffsetCrossEntropyLoss,
  randn,
  Sequential,
  SGD,
  SoftHKRMulticlassLoss,
  SpectralLinear,
  type State,
  scalar,
  state,
  type Tensor,
  tensor,
  WeightedLoss,
} from "tslip";
import { describe, expect, it } from "vitest";
import { compared, FLOAT32_SUMS, logitsOf, type Matrix, refusal, valueAndGradient } from "./reference.js";

const RIGHT = { valueIsRight: true, gradientIsRight: true };
const indices = (labels: readonly number[]): Tensor => tensor(Int32Array.from(labels));
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const norm = (row: readonly number[]): number => Math.hypot(...row);

/** log softmax of one row. */
function logs(row: readonly number[]): number[] {
  const peak = Math.max(...row);
  const total = peak + Math.log(row.reduce((sum, y) => sum + Math.exp(y - peak), 0));
  return row.map((y) => y - total);
}

/** Slopes of the difference of two logits. */
type Slope = (y: number, i: number) => number;

/** LiResNet's emma_loss with the shares of epsilon given. */
function emmaLoop(rows: Matrix, labels: readonly number[], epsilon: number, slope: Slope, shares: Matrix): number {
  return mean(
    rows.map((row, i) => {
      const own = labels[i] ?? 0;
      const raised = row.map((y, c) =>
        c === own ? 0 : y - (row[own] ?? 0) + (shares[i]?.[c] ?? 0) * epsilon * slope(own, c),
      );
      return -(logs(raised)[own] ?? 0);
    }),
  );
}

function emmaShares(rows: Matrix, labels: readonly number[], epsilon: number, slope: Slope): number[][] {
  return rows.map((row, i) => {
    const own = labels[i] ?? 0;
    return row.map((y, c) =>
      Math.min(Math.max(((row[own] ?? 0) - y) / Math.max(epsilon * slope(own, c), 1e-8), 0.01), 1),
    );
  });
}

function radiusLoop(rows: Matrix, labels: readonly number[], slope: Slope): number {
  return mean(
    rows.map((row, i) => {
      const own = labels[i] ?? 0;
      const radii = row.flatMap((y, c) => (c === own ? [] : [((row[own] ?? 0) - y) / slope(own, c)]));
      return Math.max(0, Math.min(...radii));
    }),
  );
}

const batches = [
  { name: "five classes", classes: 5, labels: [0, 4, 2, 2, 1, 3, 0] },
  { name: "two classes", classes: 2, labels: [0, 1, 1, 0] },
  { name: "one sample", classes: 3, labels: [1] },
];

describe.each(batches)("with $name", ({ classes, labels }) => {
  const { x, rows } = logitsOf([labels.length, classes], 31);
  const target = indices(labels);
  const head = randn([classes, 4], { seed: 9 });
  const weight = Array.from({ length: classes }, (_, c) => Array.from(head.dataSync()).slice(c * 4, c * 4 + 4));
  const margins: [string, object, Slope][] = [
    ["generic", { lipschitz: 2 }, () => 2 * Math.SQRT2],
    ["disjoint", { kind: "disjoint", lipschitz: 0.5 }, () => 1],
    [
      "pairwise",
      { kind: "pairwise", lipschitz: 1.5, head },
      (y, i) => 1.5 * norm((weight[y] ?? []).map((w, k) => w - (weight[i]?.[k] ?? 0))),
    ],
  ];

  it.each(margins)("EMMA with %s margins is the loop's", (_, options, slope) => {
    for (const epsilon of [0.01, 0.3, 2]) {
      const loss = new EMMALoss({ epsilon, ...options });
      const shares = emmaShares(rows, labels, epsilon, slope);
      const loop = (y: Matrix): number => emmaLoop(y, labels, epsilon, slope, shares);
      expect(compared(valueAndGradient(loss, x, target), rows, loop)).toEqual(RIGHT);
    }
  });

  it.each(margins)("regularization by %s certificates is the loss less the loop's radii", (_, options, slope) => {
    const loss = new CertificateRegularization({ loss: new CrossEntropyLoss(), gamma: 0.7, ...options });
    const loop = (y: Matrix): number =>
      mean(y.map((row, i) => -(logs(row)[labels[i] ?? 0] ?? 0))) - 0.7 * radiusLoop(y, labels, slope);
    expect(compared(valueAndGradient(loss, x, target), rows, loop)).toEqual(RIGHT);
  });

  it("logit annealing is the loop's", () => {
    for (const [temperature, offset, beta] of [
      [0.75, 2, 5],
      [2, 0.5, 0.5],
      [1, 0, 0],
      [0.5, -1, 1],
    ] as const) {
      const loop = (y: Matrix): number =>
        mean(
          y.map((row, i) => {
            const own = labels[i] ?? 0;
            const log = logs(row.map((v, c) => (v - (c === own ? offset : 0)) / temperature))[own] ?? 0;
            return -temperature * (1 - Math.exp(log)) ** beta * log;
          }),
        );
      const loss = new LogitAnnealingLoss({ temperature, offset, beta });
      expect(compared(valueAndGradient(loss, x, target), rows, loop)).toEqual(RIGHT);
    }
  });

  it("cross-entropy with an offset is the loop's", () => {
    for (const [temperature, offset] of [
      [0.25, Math.SQRT2],
      [2, 0.3],
    ] as const) {
      const loop = (y: Matrix): number =>
        mean(
          y.map((row, i) => {
            const own = labels[i] ?? 0;
            return -temperature * (logs(row.map((v, c) => (v - (c === own ? offset : 0)) / temperature))[own] ?? 0);
          }),
        );
      const loss = new OffsetCrossEntropyLoss({ temperature, offset });
      expect(compared(valueAndGradient(loss, x, target), rows, loop)).toEqual(RIGHT);
    }
  });

  const losses: [string, (options: object) => Loss][] = [
    ["EMMA", (options) => new EMMALoss({ epsilon: 0.2, ...options })],
    ["logit annealing", (options) => new LogitAnnealingLoss(options)],
    ["cross-entropy with an offset", (options) => new OffsetCrossEntropyLoss(options)],
    ["regularization", (options) => new CertificateRegularization({ loss: new CrossEntropyLoss(options), gamma: 0.5 })],
  ];

  it.each(losses)("%s takes rows of both codes, and has the sum and the mean of its values", (_, make) => {
    const code = target.oneHot(classes);
    const value = make({}).forward(x, target).item();
    for (const t of [code, code.mul(2).sub(1)]) {
      expect(make({}).forward(x, tensor(t.dataSync(), t.shape)).item()).toBe(value);
    }
    const each = Array.from(make({ reduction: "none" }).forward(x, target).dataSync());
    expect(each).toHaveLength(labels.length);
    expect(Math.abs(mean(each) - value)).toBeLessThan(FLOAT32_SUMS * (1 + Math.abs(value)));
    const sum = make({ reduction: "sum" }).forward(x, target).item();
    expect(Math.abs(sum - value * labels.length)).toBeLessThan(FLOAT32_SUMS * (1 + Math.abs(sum)));
  });

  it.each(losses)("%s leaves out ignored samples", (_, make) => {
    const more = x.concat(x.slice([0, 0], [1, classes]), 0);
    const { value } = valueAndGradient(make({ ignoreIndex: -1 }), more, indices([...labels, -1]));
    const alone = make({}).forward(x, target).item();
    expect(Math.abs(value - alone)).toBeLessThan(FLOAT32_SUMS * (1 + Math.abs(alone)));
  });

  it.each(losses)(
    "%s is NaN for NaN, and finite for ties and for logits of any size that float32 can add",
    (_, make) => {
      const bad = Float32Array.from(x.dataSync());
      bad[0] = Number.NaN;
      expect(make({}).forward(tensor(bad, x.shape), target).item()).toBeNaN();
      for (const size of [0, 1e-30, 1, 1e4, 1e30]) {
        const { value, gradient } = valueAndGradient(make({}), x.sign().mul(size), target);
        expect(Number.isFinite(value)).toBe(true);
        expect(gradient.every(Number.isFinite)).toBe(true);
      }
    },
  );
});

describe("EMMA", () => {
  const logits = tensor([2, 1, -3], [1, 3]);
  const target = indices([0]);

  it("has its radius in a state, which a compiled step reads each time", () => {
    const epsilon = state(scalar(0.01), { name: "epsilon" });
    const loss = new EMMALoss({ epsilon, lipschitz: 2 });
    const step = compile((y: Tensor, t: Tensor) => loss.forward(y, t));
    for (const radius of [0.01, 0.2, 3]) {
      epsilon.assign(scalar(radius));
      const fixed = new EMMALoss({ epsilon: radius, lipschitz: 2 });
      expect(step.sync(logits, target).item()).toBeCloseTo(fixed.forward(logits, target).item(), 6);
    }
    expect(loss.namedStates("loss.")).toEqual([["loss.epsilon", epsilon]]);
  });

  it("has gradients by the head's weights", () => {
    const of = (w: Tensor): Tensor => functional.emma(logits, target, { epsilon: 0.1, kind: "pairwise", head: w });
    const w = [0.5, -1, 2, 0.25, 1, 1];
    const step = compile((head: Tensor) => ({ g: grad(of(head), [head])[0] }));
    const slopes = step.sync(tensor(w, [3, 2])).g.data();
    const STEP = 2 ** -7;
    slopes.forEach((slope, k) => {
      const at = (by: number): number =>
        of(
          tensor(
            w.map((v, i) => (i === k ? v + by : v)),
            [3, 2],
          ),
        ).item();
      // Float32 differences over 2^-6 are good to about 1e-5, third derivatives add 1e-4; shares of radius are 1 here.
      expect(Math.abs((at(STEP) - at(-STEP)) / (2 * STEP) - slope)).toBeLessThan(2e-4);
    });
  });

  it("and regularization count classes with equal rows of the head as not told apart, and stay finite", () => {
    const head = tensor([1, 2, 1, 2, 0, 1], [3, 2]);
    for (const loss of [
      new EMMALoss({ epsilon: 0.1, kind: "pairwise", head }),
      new CertificateRegularization({ loss: new CrossEntropyLoss(), gamma: 1, kind: "pairwise", head }),
    ]) {
      const { value, gradient } = valueAndGradient(loss, logits, target);
      expect([value, ...gradient].every(Number.isFinite)).toBe(true);
    }
    const same = tensor([1, 2, 1, 2, 1, 2], [3, 2]);
    const value = functional.certificateRegularization(logits, target, { gamma: 1, kind: "pairwise", head: same });
    expect(value.item()).toBeCloseTo(0, 12);
  });
});

describe("logit annealing", () => {
  it("has a finite gradient where the probability of the class is 1 in float32", () => {
    for (const beta of [0, 0.5, 1, 5]) {
      for (const lead of [10, 30, 200]) {
        const { value, gradient } = valueAndGradient(
          new LogitAnnealingLoss({ beta, offset: 0, temperature: 1 }),
          tensor([lead, 0, 0], [1, 3]),
          indices([0]),
        );
        expect(value).toBeGreaterThanOrEqual(0);
        expect(gradient.every(Number.isFinite)).toBe(true);
      }
    }
  });
});

describe("regularization by certificates", () => {
  it("makes the certified radii of a trained model larger", async () => {
    const images = Float32Array.from(randn([60, 2], { seed: 4 }).dataSync());
    const labels = Array.from({ length: 60 }, (_, i) => i % 3);
    labels.forEach((label, i) => {
      const angle = (2 * Math.PI * label) / 3;
      images[2 * i] = 2 * Math.cos(angle) + 0.2 * (images[2 * i] ?? 0);
      images[2 * i + 1] = 2 * Math.sin(angle) + 0.2 * (images[2 * i + 1] ?? 0);
    });
    const data = fromArrays(images, [60, 2], labels);
    const radiusOf = async (loss: Loss): Promise<number> => {
      manualSeed(5);
      const model = new Sequential([new SpectralLinear(2, 3)]);
      await fit(model, data, { epochs: 10, batchSize: 60, loss, optimizer: new SGD({ lr: 0.5 }), verbose: false });
      const vanilla = model.vanillaExport();
      return mean((await certify(vanilla, tensor(images, [60, 2]))).map(({ radius }) => radius));
    };
    // Weak enough that there is something to gain.
    const inner = (): Loss => new OffsetCrossEntropyLoss({ offset: 0, temperature: 0.05 });
    const plain = await radiusOf(inner());
    expect(await radiusOf(new CertificateRegularization({ loss: inner(), gamma: 5 }))).toBeGreaterThan(plain);
  });

  it("counts the samples that its loss counts, as much as they weigh there", () => {
    const own = [0.5, 0, 2, 1];
    const classWeights = [1, 3, 0.5];
    const [x, y] = [randn([4, 3], { seed: 8 }), indices([0, 2, 1, 1])];
    const of = (loss: Loss, weights?: Tensor): number =>
      (new CertificateRegularization({ loss, gamma: 2 }) as { forward(...given: unknown[]): Tensor })
        .forward(x, y, weights)
        .item();
    const plain = new CrossEntropyLoss();
    const wanted = of(plain, tensor(own));
    expect(of(new WeightedLoss(plain, { sampleWeights: tensor(own) }))).toBeCloseTo(wanted, 6);
    expect(of(new WeightedLoss(new WeightedLoss(plain, { sampleWeights: tensor(own) })))).toBeCloseTo(wanted, 6);
    expect(of(new WeightedLoss(plain, { classWeights }))).toBeCloseTo(of(new CrossEntropyLoss({ classWeights })), 6);
    expect(wanted).not.toBeCloseTo(of(plain), 2);
  });

  it("trains with samples that its loss ignores, and weights of classes", async () => {
    const images = Float32Array.from(randn([6, 2], { seed: 4 }).dataSync());
    const data = fromArrays(images, [6, 2], [0, 1, 255, 0, 1, 255], { ignoreIndex: 255 });
    const inner = new CrossEntropyLoss({ ignoreIndex: 255 });
    const loss = new CertificateRegularization({ loss: inner, gamma: 0.1 });
    expect([loss.ignoreIndex, loss.reduction]).toEqual([255, inner.reduction]);
    const options = { epochs: 2, batchSize: 3, optimizer: new SGD({ lr: 0.1 }), verbose: false, classWeights: [1, 2] };
    const { epochs } = await fit(new SpectralLinear(2, 2), data, { ...options, loss });
    expect(epochs.every((epoch) => Number.isFinite(epoch.loss))).toBe(true);
  });

  it("lists the states of its loss", () => {
    const gamma: State = state(scalar(0.5));
    const loss = new CertificateRegularization({ loss: new SoftHKRMulticlassLoss(), gamma });
    expect(loss.namedStates().map(([name]) => name)).toEqual(["gamma", "loss.currentMean"]);
  });
});

describe("options", () => {
  it("out of range are refused, and a head without its kind or of other classes", () => {
    const head = tensor([1, 2, 3, 4], [2, 2]);
    const refused: (() => unknown)[] = [
      () => new EMMALoss({ epsilon: 0 }),
      () => new EMMALoss({ epsilon: 1, lipschitz: -1 }),
      () => new EMMALoss({ epsilon: 1, kind: "pairwise" }),
      () => new EMMALoss({ epsilon: 1, head }),
      () => new EMMALoss({ epsilon: 1, kind: "pairwise", head: tensor([1]) }),
      () => new LogitAnnealingLoss({ beta: -1 }),
      () => new LogitAnnealingLoss({ temperature: 0 }),
      () => new OffsetCrossEntropyLoss({ offset: Number.NaN }),
      () => new CertificateRegularization({ loss: new CrossEntropyLoss(), gamma: -1 }),
      () => new CertificateRegularization({ loss: {} as Loss, gamma: 1 }),
    ];
    expect(refused.map((run) => refusal(run).code)).toEqual(refused.map(() => "INVALID_ARGUMENT"));
    const loss = new EMMALoss({ epsilon: 1, kind: "pairwise", head });
    expect(refusal(() => loss.forward(tensor([1, 2, 3], [1, 3]), indices([0]))).code).toBe("SHAPE_MISMATCH");
  });
});
