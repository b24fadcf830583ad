// Lookahead against its recurrence in float64.
import { Adam, compile, Lookahead, NAdam, type Optimizer, Parameter, SGD, tensor } from "tslip";
import { describe, expect, it } from "vitest";
import { expectFollows, type Rule, run, sgd } from "./recurrence.js";

const lookahead = (inner: () => Rule, k: number, alpha: number) => (): Rule => {
  const next = inner();
  let slow = Number.NaN;
  return (p, g, t) => {
    if (t === 1) slow = p;
    const fast = next(p, g, t);
    if (t % k !== 0) return fast;
    slow += alpha * (fast - slow);
    return slow;
  };
};

describe("Lookahead", () => {
  it.each([
    [3, 0.5],
    [1, 0.25],
    [4, 0],
    [5, 1],
    [11, 0.5],
  ])("goes back every %i steps by the rest of the share %d", (k, alpha) => {
    const options = { momentum: 0.9, weightDecay: 0.05 };
    const values = run(new Lookahead(new SGD({ lr: 0.1, ...options }), { k, alpha }));
    expectFollows(values, lookahead(sgd(0.1, options), k, alpha));
  });

  it("with alpha 1 is the inner optimizer, to the last bit", () => {
    expect(run(new Lookahead(new SGD({ lr: 0.1 }), { k: 20 }))).toEqual(run(new SGD({ lr: 0.1 })));
  });

  it("has the rate of the inner optimizer, whoever sets it", () => {
    const inner = new SGD({ lr: 0.1 });
    const outer = new Lookahead(inner);
    const rates = [0.1, 0.2, 0, 0.05, 0.3, 0.01, 1, 0.5, 0.1, 0.2];
    expectFollows(run(outer, undefined, rates), lookahead(sgd(0.1, {}, rates), 5, 0.5));
    expect(inner.lr).toBe(0.2);
    inner.lr = 0.7;
    expect(outer.lr).toBe(0.7);
  });

  it("leaves frozen parameters alone", () => {
    const [one, other] = [new Parameter(tensor([1, 2])), new Parameter(tensor([3, 4]))];
    one.trainable = false;
    const optimizer = new Lookahead(new Adam({ lr: 0.1 }), { k: 2 });
    const step = compile(() => {
      optimizer.update([one, other], [tensor([1, 1]), tensor([1, 1])]);
      return {};
    });
    for (let i = 0; i < 4; i++) step.sync();
    expect([...one.dataSync()]).toEqual([1, 2]);
    expect([...other.dataSync()]).not.toEqual([3, 4]);
  });

  it("lists each state once", () => {
    const optimizer: Optimizer = new Lookahead(new Lookahead(new NAdam()));
    optimizer.track([new Parameter(tensor([1]))]);
    const states = optimizer.namedStates();
    expect(new Set(states.map(([, one]) => one)).size).toBe(states.length);
    expect(states.map(([key]) => key)).toEqual([
      "rate",
      "epochs",
      "#0.steps",
      "#0.slow weights",
      "inner.#0.steps",
      "inner.#0.slow weights",
      "inner.inner.#0.steps",
      "inner.inner.#0.first moment",
      "inner.inner.#0.second moment",
      "inner.inner.#0.correction of the momentum",
    ]);
  });

  it.each([
    [() => new Lookahead("Adam" as never), /takes an optimizer such as new Adam\(\).*given "Adam"/],
    [() => new Lookahead(new Adam(), { k: 0 }), /k must be/],
    [() => new Lookahead(new Adam(), { alpha: 1.5 }), /alpha must be from 0 to 1; given 1.5/],
  ])("is refused where it is told what makes no sense", (make, message) => {
    expect(make).toThrow(message);
  });
});
