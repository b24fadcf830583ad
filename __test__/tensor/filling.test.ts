// States that the engine does not hold yet: what they start from, and what is assigned to them before.
import {
  assignAll,
  Linear,
  manualSeed,
  type Parameter,
  Sequential,
  SpectralLinear,
  type State,
  state,
  TslipError,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { snapshot } from "../../src/nn/snapshot.js";

const values = (...states: readonly State[]): number[] => states.map((s) => s.item());

describe("assignAll outside of a trace", () => {
  it("keeps the value of a state that another one reads before it is filled", () => {
    const [a, b] = [state(tensor(1)), state(tensor(2))];
    assignAll([
      [a, b],
      [b, tensor(9)],
    ]);
    expect(values(a, b)).toEqual([2, 9]);
  });

  it("keeps it where the other one starts from it, or a third that is read does", () => {
    const b = state(tensor(2));
    const between = state(b.add(1));
    const [a, c] = [state(between.mul(10)), state(tensor(0))];
    assignAll([
      [b, tensor(9)],
      [c, a.add(1)],
    ]);
    expect(values(b, c, a, between)).toEqual([9, 31, 30, 3]);
    const d = state(tensor(4));
    const e = state(d.add(1));
    assignAll([
      [d, tensor(7)],
      [e, tensor(1).mul(3)],
    ]);
    expect(values(d, e)).toEqual([7, 3]);
  });

  it("gives a state that is named twice the last value, filled or not", () => {
    const [a, b] = [state(tensor(1)), state(tensor(2))];
    assignAll([
      [a, b],
      [a, tensor(5)],
    ]);
    assignAll([
      [b, tensor(5)],
      [b, a.add(1)],
    ]);
    expect(values(a, b)).toEqual([5, 6]);
  });

  it("exchanges states that are not filled", () => {
    const [a, b] = [state(tensor(1)), state(tensor(2))];
    assignAll([
      [a, b],
      [b, a],
    ]);
    expect(values(a, b)).toEqual([2, 1]);
  });

  it("loads a dictionary whose values read the model that it is loaded into", () => {
    const model = new Sequential([new Linear(2, 2, { bias: false }), new Linear(2, 2, { bias: false })], {
      constrained: false,
    });
    const [first, second] = model.parameters();
    const twice = second?.initial?.mul(2).dataSync();
    model.loadStateDict({
      "0.weight": (second as Parameter).mul(2),
      "1.weight": tensor([
        [9, 8],
        [7, 6],
      ]),
    });
    expect(first?.dataSync()).toEqual(twice);
    expect([...(second?.dataSync() ?? [])]).toEqual([9, 8, 7, 6]);
  });
});

describe("a state that is not filled", () => {
  it("may be the last of thousands that each start from the one before", () => {
    let last = state(tensor(0));
    for (let i = 0; i < 2000; i++) last = state(i % 2 === 0 ? last : last.add(1));
    expect(last.item()).toBe(1000);
  });

  it("is filled with others of which it starts, in whatever order they are given", () => {
    const a = state(tensor(1));
    const b = state(a.add(1));
    const c = state(b.add(a));
    assignAll([[c, c.mul(b).mul(a)]]);
    expect(values(c, b, a)).toEqual([6, 2, 1]);
  });

  it("refuses another start once it is filled", () => {
    const a = state(tensor(1));
    a.restart(tensor(2));
    expect(a.item()).toBe(2);
    let code = "nothing thrown";
    try {
      a.restart(tensor(3));
    } catch (error) {
      if (error instanceof TslipError) ({ code } = error);
    }
    expect([code, a.item()]).toEqual(["INTERNAL", 2]);
  });

  it("is exported where another part of the export starts from it", () => {
    manualSeed(1);
    const build = (): Sequential => {
      const [one, two] = [new Linear(2, 2, { bias: false }), new Linear(2, 2, { bias: false })];
      one.weight.restart(new SpectralLinear(2, 2, { bias: false }).parameters()[0]?.mul(2) ?? one.weight);
      two.weight.restart(one.weight.add(1));
      return new Sequential([one, two], { constrained: false });
    };
    const [one, two] = snapshot(build).parameters();
    expect([...(two?.dataSync() ?? [])]).toEqual([...(one?.dataSync() ?? [])].map((x) => Math.fround(x + 1)));
  });
});
