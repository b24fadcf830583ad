// Options of losses that are states: whoever assigns them changes the loss of the next step, without a new recording.
import {
  CategoricalHingeLoss,
  compile,
  EMMALoss,
  fit,
  fromArrays,
  grad,
  HingeMarginLoss,
  HingeMulticlassLoss,
  HKRLoss,
  HKRMulticlassLoss,
  Linear,
  LogitAnnealingLoss,
  type Loss,
  LseHKRMulticlassLoss,
  OffsetCrossEntropyLoss,
  randn,
  SGD,
  SoftHKRMulticlassLoss,
  type State,
  scalar,
  state,
  TauBCEWithLogitsLoss,
  TauCrossEntropyLoss,
  type Tensor,
  TrainingState,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { isStateful } from "../../src/tensor/stateful.js";
import { FLOAT32_SUMS, logitsOf, refusal } from "./reference.js";

const near = (value: number, to: number): void => {
  expect(Math.abs(value - to)).toBeLessThan(FLOAT32_SUMS * (1 + Math.abs(to)));
};

/** A loss with an option, values of the option, and how many logits it is tried on. */
type Row = [name: string, make: (value: number | State) => Loss, values: readonly number[], logits: number];

const rows: Row[] = [
  [
    "alpha of additive HKR",
    (alpha) => new HKRMulticlassLoss({ alpha, form: "additive" }),
    [0, 0.5, 3, 100, Number.POSITIVE_INFINITY],
    3,
  ],
  [
    "alpha of convex HKR",
    (alpha) => new HKRMulticlassLoss({ alpha, form: "convex" }),
    [0, 0.5, 1, 3, Number.POSITIVE_INFINITY],
    3,
  ],
  [
    "alpha of binary HKR",
    (alpha) => new HKRLoss({ alpha, form: "convex" }),
    [0, 0.5, 1, 3, Number.POSITIVE_INFINITY],
    1,
  ],
  ["margin of HKR", (minMargin) => new HKRMulticlassLoss({ alpha: 5, minMargin }), [0, 0.25, 3], 3],
  ["margin of the hinge", (minMargin) => new HingeMulticlassLoss({ minMargin }), [0, 0.25, 3], 3],
  ["margin of the binary hinge", (minMargin) => new HingeMarginLoss({ minMargin, form: "additive" }), [0, 0.25, 3], 1],
  [
    "alpha of soft HKR",
    (alpha) => new SoftHKRMulticlassLoss({ alpha, alphaMean: 1 }),
    [0, 0.5, 1, 3, Number.POSITIVE_INFINITY],
    3,
  ],
  ["temperature of soft HKR", (temperature) => new SoftHKRMulticlassLoss({ temperature, alphaMean: 1 }), [0.5, 4], 3],
  [
    "alpha of log-sum-exp HKR",
    (alpha) => new LseHKRMulticlassLoss({ alpha }),
    [0, 0.5, 1, 3, Number.POSITIVE_INFINITY],
    3,
  ],
  ["margin of log-sum-exp HKR", (minMargin) => new LseHKRMulticlassLoss({ minMargin, alpha: 0.5 }), [0.1, 2], 3],
  ["temperature of log-sum-exp HKR", (temperature) => new LseHKRMulticlassLoss({ temperature }), [0.5, 4], 3],
  ["penalty of log-sum-exp HKR", (penalty) => new LseHKRMulticlassLoss({ penalty }), [0.5, 4], 3],
  ["margin of the categorical hinge", (minMargin) => new CategoricalHingeLoss({ minMargin }), [0, 2], 3],
  ["tau of cross-entropy", (tau) => new TauCrossEntropyLoss({ tau }), [0.5, 4], 3],
  ["tau of binary cross-entropy", (tau) => new TauBCEWithLogitsLoss({ tau }), [0.5, 4], 1],
  ["epsilon of EMMA", (epsilon) => new EMMALoss({ epsilon }), [0.01, 0.5, 2], 3],
  ["Lipschitz constant of EMMA", (lipschitz) => new EMMALoss({ epsilon: 0.1, lipschitz }), [1, 3], 3],
  ["offset of logit annealing", (offset) => new LogitAnnealingLoss({ offset }), [0, 2], 3],
  ["exponent of logit annealing", (beta) => new LogitAnnealingLoss({ beta }), [0, 0.5, 5], 3],
  ["temperature of logit annealing", (temperature) => new LogitAnnealingLoss({ temperature }), [0.5, 2], 3],
  ["offset of cross-entropy", (offset) => new OffsetCrossEntropyLoss({ offset }), [0, 2], 3],
  ["temperature of cross-entropy", (temperature) => new OffsetCrossEntropyLoss({ temperature }), [0.25, 2], 3],
];

describe("an option that is a state", () => {
  it.each(rows)("is read in each step: %s", (_, make, values, logits) => {
    const { x } = logitsOf([5, logits], 51);
    const target = logits === 1 ? tensor([1, 0, 0, 1, 1]) : tensor(Int32Array.of(0, 1, 2, 1, 0));
    const option = state(scalar(values[0] ?? 0));
    const loss = make(option);
    const step = compile((y: Tensor, t: Tensor) => loss.forward(y, t));
    for (const value of values) {
      option.assign(scalar(value));
      near(step.sync(x, target).item(), make(value).forward(x, target).item());
    }
    if (!isStateful(loss)) throw new Error("it lists no states");
    expect(loss.namedStates().map(([, one]) => one)).toContain(option);
  });

  it.each<[string, (alpha: number | State) => Loss]>([
    ["additive", (alpha) => new HKRMulticlassLoss({ alpha, form: "additive" })],
    ["convex", (alpha) => new HKRMulticlassLoss({ alpha, form: "convex" })],
    ["log-sum-exp", (alpha) => new LseHKRMulticlassLoss({ alpha })],
  ])("leaves out, as a number does, a part of weight 0 that is infinite: %s", (_, make) => {
    const { POSITIVE_INFINITY: infinite } = Number;
    const x = tensor([infinite, -infinite, -1, 1], [2, 2]);
    const target = tensor(Int32Array.of(0, 1));
    for (const alpha of [infinite, 0]) {
      const value = make(alpha).forward(x, target).item();
      expect(
        make(state(scalar(alpha)))
          .forward(x, target)
          .item(),
      ).toBe(value);
      expect(value).not.toBeNaN();
    }
  });

  it("has a finite derivative by alpha where that is 0 or infinite", () => {
    const { x } = logitsOf([5, 3], 51);
    const target = tensor(Int32Array.of(0, 1, 2, 1, 0));
    for (const form of ["additive", "convex"] as const) {
      const slope = compile((a: Tensor) => grad(new HKRMulticlassLoss({ alpha: a, form }).forward(x, target), [a])[0]);
      const [zero, half, infinite] = [0, 0.5, Number.POSITIVE_INFINITY].map((a) => slope.sync(scalar(a)).item());
      near(zero ?? Number.NaN, half ?? 0);
      expect(infinite).toBe(0);
    }
  });

  it("is set by a callback between epochs, and is part of what a training keeps", async () => {
    const images = Float32Array.from(randn([8, 2], { seed: 6 }).dataSync());
    const data = fromArrays(images, [8, 2], [0, 1, 0, 1, 0, 1, 0, 1]);
    const alpha = state(scalar(1), { name: "alpha" });
    const loss = new HKRMulticlassLoss({ alpha, form: "additive" });
    const [model, optimizer] = [new Linear(2, 2), new SGD({ lr: 0 })];
    const callbacks = [{ onEpochStart: (epoch: number) => alpha.assign(scalar(epoch)) }];
    const options = { epochs: 3, batchSize: 8, optimizer, loss, callbacks, verbose: false };
    const { epochs } = await fit(model, data, options);
    const { images: x, targets } = data.batch(0, 8);
    epochs.forEach((record, i) => {
      const fixed = new HKRMulticlassLoss({ alpha: i + 1, form: "additive" });
      near(record.loss, fixed.forward(model.forward(x), targets).item());
    });
    const kept = await new TrainingState({ model, optimizer, loss }).snapshot();
    expect(kept["loss.alpha"]?.item()).toBe(3);
  });

  it("as alpha of HKR needs a form, and has to be a 0-d f32 tensor", () => {
    expect(refusal(() => new HKRMulticlassLoss({ alpha: state(scalar(5)) })).message).toMatch(
      /as a tensor can mean two/,
    );
    for (const alpha of [tensor([1]), scalar(1, "i32")]) {
      expect(refusal(() => new HKRMulticlassLoss({ alpha, form: "convex" })).message).toMatch(/0-d f32 tensor/);
    }
  });
});
