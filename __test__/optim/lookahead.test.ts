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

  /** Values of a parameter after updates by a gradient of 0, which gets those of `outside` before updates of these numbers. */
  function followed(
    optimizer: Optimizer,
    updates: number,
    outside: Record<number, number[]>,
    after = (_: Parameter) => {},
  ) {
    const parameter = new Parameter(tensor([0, 0]));
    const step = compile(() => {
      optimizer.update([parameter], [tensor([1, 1])]);
      after(parameter);
      return parameter.mul(1);
    });
    return Array.from({ length: updates }, (_, i) => {
      const values = outside[i];
      if (values !== undefined) parameter.assign(tensor(values));
      return [...step.sync().data()];
    });
  }

  it("begins anew with the weights that a parameter is given between steps", () => {
    const still = new Lookahead(new SGD({ lr: 0 }), { k: 5 });
    const at = (values: number[], count: number) => new Array(count).fill(values);
    expect(followed(still, 12, { 3: [10, 0] })).toEqual([...at([0, 0], 3), ...at([10, 0], 9)]);
    // Steps are counted anew too: the first that goes back is the third with the new weights.
    const moving = new Lookahead(new SGD({ lr: 1 }), { k: 3, alpha: 0.5 });
    const expected = [-1, -2, 9, 8, 8.5, 7.5, 6.5, 7].map((value) => [value, value]);
    expect(followed(moving, 8, { 2: [10, 10] })).toEqual(expected);
  });

  it("goes on where a parameter is given the values that it has, or gets others within the step", () => {
    const make = () => new Lookahead(new Lookahead(new SGD({ lr: 1 }), { k: 2, alpha: 0.5 }), { k: 3, alpha: 0.25 });
    const undisturbed = followed(make(), 9, {});
    expect(followed(make(), 9, { 4: undisturbed[3] ?? [] })).toEqual(undisturbed);
    const clipped = followed(new Lookahead(new SGD({ lr: 1 }), { k: 4, alpha: 0.5 }), 4, {}, (parameter) => {
      parameter.assign(parameter.maximum(-2));
    });
    // From -2, where it was clipped to, a step to -3, and half of the way from 0.
    expect(clipped.map(([value]) => value)).toEqual([-1, -2, -2, -1.5]);
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
      "#0.last values",
      "inner.#0.steps",
      "inner.#0.slow weights",
      "inner.#0.last values",
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
