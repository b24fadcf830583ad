// Models with classes that are masked, equal or undefined somewhere, gradients near 0, and arguments that change meanwhile.
import {
  type Attack,
  DDNAttack,
  EADAttack,
  L1APGDAttack,
  L1FMNAttack,
  L1PDPGDAttack,
  L2,
  L2ALMAAttack,
  L2APGDAttack,
  L2BrendelBethgeAttack,
  L2CarliniWagnerAttack,
  L2DeepFoolAttack,
  L2FABAttack,
  L2FastGradientAttack,
  L2FMNAttack,
  L2PDGDAttack,
  L2PDPGDAttack,
  L2PGD,
  Linear,
  LinfAPGDAttack,
  LinfDeepFoolAttack,
  LinfFABAttack,
  LinfFMNAttack,
  LinfPDPGDAttack,
  LinfPGD,
  Module,
  NewtonFoolAttack,
  SuperDeepFoolAttack,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";

const linear = (weight: number[][]): Linear =>
  new Linear(2, weight.length, { bias: false }, { weight: tensor(weight), bias: undefined });
const bounds = [-1, 1] as const;
const x = tensor([0.3, 0.1], [1, 2]);

/** Of which a function of the logits is asked. */
class Changed extends Module {
  constructor(
    readonly inner: Module,
    readonly change: (logits: Tensor, x: Tensor) => Tensor,
  ) {
    super();
  }
  forward(given: Tensor): Tensor {
    return this.change(this.inner.forward(given), given);
  }
}

const nearest: [string, () => Attack][] = [
  ["FMN", () => new L2FMNAttack()],
  ["FMN in Linf", () => new LinfFMNAttack()],
  ["FMN in L1", () => new L1FMNAttack()],
  ["DeepFool", () => new L2DeepFoolAttack()],
  ["DeepFool in Linf", () => new LinfDeepFoolAttack()],
  ["SuperDeepFool", () => new SuperDeepFoolAttack()],
  ["Carlini-Wagner", () => new L2CarliniWagnerAttack({ binarySearchSteps: 5, steps: 300 })],
  ["elastic net", () => new EADAttack({ steps: 300 })],
  ["DDN", () => new DDNAttack({ steps: 200 })],
  ["FAB", () => new L2FABAttack()],
  ["FAB in Linf", () => new LinfFABAttack()],
  ["ALMA", () => new L2ALMAAttack({ steps: 300 })],
  ["PDGD", () => new L2PDGDAttack()],
  ["PDPGD", () => new L2PDPGDAttack()],
  ["PDPGD in Linf", () => new LinfPDPGDAttack()],
  ["PDPGD in L1", () => new L1PDPGDAttack()],
  ["Brendel-Bethge", () => new L2BrendelBethgeAttack({ steps: 200, lr: 0.02, seed: 1 })],
  ["NewtonFool", () => new NewtonFoolAttack()],
  ["Auto-PGD by its ratio of logits", () => new L2APGDAttack({ loss: "dlr", seed: 1 })],
  ["Auto-PGD at its classes", () => new LinfAPGDAttack({ loss: "dlr", targetClasses: 9, seed: 1 })],
  ["Auto-PGD in L1", () => new L1APGDAttack({ seed: 1 })],
];

it.each(nearest)("%s finds the way past a class that is masked by -Infinity", async (_, make) => {
  const model = new Changed(
    linear([
      [1, 0],
      [-1, 0],
    ]),
    (logits) => logits.concat(zeros([logits.shape[0] ?? 0, 1]).sub(Number.POSITIVE_INFINITY), 1),
  );
  const { success, distances } = await make().run(model, x, [0], { bounds });
  expect(success).toEqual([true]);
  expect(distances[0]).toBeLessThan(0.33);
  expect(distances[0]).toBeGreaterThanOrEqual(0.3 - 1e-6);
});

it("attacks within an epsilon do so too", async () => {
  const model = new Changed(
    linear([
      [1, 0],
      [-1, 0],
    ]),
    (logits) => logits.concat(zeros([logits.shape[0] ?? 0, 1]).sub(Number.POSITIVE_INFINITY), 1),
  );
  for (const attack of [new L2PGD({ seed: 1 }), new LinfPGD({ randomStart: false }), new L2FastGradientAttack()]) {
    const [result] = await attack.run(model, x, [0], { bounds, epsilons: [0.5] });
    expect(result?.success).toEqual([true]);
  }
});

it.each(nearest.filter(([name]) => /DeepFool/.test(name)))(
  "%s passes over a class that no step tells from the label",
  async (_, make) => {
    const model = linear([
      [1, 0],
      [1, 0],
      [-1, 0],
    ]);
    const { success, distances } = await make().run(model, x, [0], { bounds });
    expect(success).toEqual([true]);
    expect(distances[0]).toBeLessThan(0.33);
  },
);

it.each(nearest)(
  "%s of an image beside one whose logits are NaN somewhere is that of the image alone",
  async (_, make) => {
    const model = new Changed(
      linear([
        [1, 0],
        [-1, 0],
      ]),
      (logits, given) => {
        const first = given.slice([0, 0], [given.shape[0] ?? 0, 1]);
        return first.less(0.2).and(first.greater(-0.5)).where(Number.NaN, logits);
      },
    );
    const images = tensor([0.3, 0.1, -0.7, 0.2], [2, 2]);
    const { success, distances } = await make().run(model, images, [0, 1], { bounds });
    const alone = await make().run(model, images.slice([1], [2]), [1], { bounds });
    expect([success[1], distances[1]]).toEqual([alone.success[0], alone.distances[0]]);
  },
);

describe("arguments", () => {
  it("are those of the call, whatever becomes of them", async () => {
    const model = linear([
      [1, 0],
      [-1, 0],
    ]);
    const attack = new L2PGD({ seed: 1 });
    const [epsilons, own, box]: [number[], number[][], [number, number]] = [[0.5], [[0.5]], [-1, 1]];
    const [plain, each] = [
      attack.run(model, x, [0], { epsilons, bounds: box }),
      attack.run(model, x, [0], { epsilons: own, bounds: box }),
    ];
    [epsilons[0], box[0], box[1]] = [0.001, 0.25, 0.35];
    (own[0] as number[])[0] = 0.001;
    for (const results of [await plain, await each]) expect(results[0]?.success).toEqual([true]);
  });

  it("of a run that is aborted before it begins are not looked at", async () => {
    const signal = AbortSignal.abort(new Error("enough"));
    for (const attack of [new L2PGD(), new L2FMNAttack()]) {
      await expect(
        attack.run(
          linear([
            [1, 0],
            [-1, 0],
          ]),
          x,
          [0],
          { bounds, epsilons: [], signal },
        ),
      ).rejects.toThrow("enough");
    }
  });
});

it.each<[string, () => Attack]>([
  ["DDN", () => new DDNAttack({ steps: 200, initEpsilon: 0.3 })],
  ["PGD in L2", () => new L2PGD({ randomStart: false })],
  ["PGD in Linf", () => new LinfPGD({ randomStart: false })],
  ["the fast gradient", () => new L2FastGradientAttack()],
  ["Auto-PGD", () => new L2APGDAttack({ randomStart: false })],
  ["Auto-PGD in Linf", () => new LinfAPGDAttack({ randomStart: false })],
  ["NewtonFool", () => new NewtonFoolAttack({ steps: 200 })],
])("%s finds the border where the probability of the label is 1 in float32", async (_, make) => {
  for (const [first, second] of [
    [
      [100, 0],
      [0, 0],
    ],
    [
      [50, 0],
      [0, 0.01],
    ],
    [
      [300, 0],
      [-300, 0],
    ],
  ] as const) {
    const model = linear([[...first], [...second]]);
    const start = tensor([0.6, 0.1], [1, 2]);
    const { success, distances } = await make().run(model, start, [0], { bounds });
    expect(success).toEqual([true]);
    expect(distances[0]).toBeLessThan(0.66);
    // And to a target, whose probability is 0.
    const reached = await make().run(model, start, [0], { bounds, targets: [1] });
    expect(reached.distances[0]).toBeLessThan(0.66);
  }
});

it("the steepest direction in L2 has length 1, however small or large the gradient is", () => {
  for (const [a, b] of [
    [1e-31, 0],
    [3e38, 3e38],
    [1e-37, 1e-37],
    [3, 4],
  ] as const) {
    const unit = L2.steepest(tensor([a, b], [1, 2])).dataSync();
    expect(Math.hypot(unit[0] ?? 0, unit[1] ?? 0)).toBeCloseTo(1, 6);
  }
  expect(Array.from(L2.steepest(tensor([0, 0], [1, 2])).dataSync())).toEqual([0, 0]);
});
