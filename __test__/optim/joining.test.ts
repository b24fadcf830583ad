// Parameters that join an optimizer later, or are updated at other times than others, follow PyTorch's rule from their own first step.
import { Adam, AdamW, assign, compile, type Optimizer, Parameter, SGD, type State, tensor, zeros } from "tslip";
import { describe, expect, it } from "vitest";

/** Rounding of a few float32 operations on numbers of order 1. */
const ROUNDING = 2e-6;
const GRADIENT = 3;

const parameter = (): Parameter => new Parameter(tensor([0]));
const updates = (optimizer: Optimizer, ...parameters: readonly Parameter[]) =>
  compile(() => {
    optimizer.update(
      parameters,
      parameters.map(() => tensor([GRADIENT])),
    );
    return {};
  });

/** PyTorch's Adam for a constant gradient, with a rate of 0.1. */
function adam(steps: number): number {
  let [p, m, v] = [0, 0, 0];
  for (let t = 1; t <= steps; t++) {
    m = 0.9 * m + 0.1 * GRADIENT;
    v = 0.999 * v + 0.001 * GRADIENT ** 2;
    p -= (0.1 * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8);
  }
  return p;
}

/** PyTorch's SGD with momentum 0.9 and dampening 0.5, likewise. */
function sgd(steps: number): number {
  let [p, buffer] = [0, 0];
  for (let t = 1; t <= steps; t++) {
    buffer = t === 1 ? GRADIENT : 0.9 * buffer + 0.5 * GRADIENT;
    p -= 0.1 * buffer;
  }
  return p;
}

const kinds: [string, () => Optimizer, (steps: number) => number][] = [
  ["Adam", () => new Adam({ lr: 0.1 }), adam],
  ["AdamW", () => new AdamW({ lr: 0.1, weightDecay: 0 }), adam],
  [
    "Adam with a momentum that a schedule may cycle",
    () => {
      const optimizer = new Adam({ lr: 0.1 });
      optimizer.momentumState;
      return optimizer;
    },
    adam,
  ],
  ["SGD with dampening", () => new SGD({ lr: 0.1, momentum: 0.9, dampening: 0.5 }), sgd],
];

describe.each(kinds)("%s", (_, make, follow) => {
  it("gives a parameter that joins after 1000 updates of another its first step", () => {
    const [optimizer, a, b] = [make(), parameter(), parameter()];
    const [first, second] = [updates(optimizer, a), updates(optimizer, b)];
    for (let i = 0; i < 1000; i++) first.sync();
    second.sync();
    expect(Math.abs(b.item() - follow(1))).toBeLessThan(ROUNDING);
    second.sync();
    expect(Math.abs(b.item() - follow(2))).toBeLessThan(ROUNDING);
    expect(Math.abs(a.item() / follow(1000) - 1)).toBeLessThan(1e-3);
  });

  it("counts a parameter once a step however many updates the step makes of others", () => {
    const [optimizer, a, b] = [make(), parameter(), parameter()];
    const step = compile(() => {
      optimizer.update([a], [tensor([GRADIENT])]);
      optimizer.update([b], [tensor([GRADIENT])]);
      return {};
    });
    for (let steps = 1; steps <= 3; steps++) {
      step.sync();
      for (const one of [a, b]) expect(Math.abs(one.item() - follow(steps))).toBeLessThan(ROUNDING * steps);
    }
  });

  it("counts the updates that one step makes of the same parameter", () => {
    const [optimizer, a] = [make(), parameter()];
    compile(() => {
      optimizer.update([a], [tensor([GRADIENT])]);
      optimizer.update([a], [tensor([GRADIENT])]);
      return {};
    }).sync();
    expect(Math.abs(a.item() - follow(2))).toBeLessThan(2 * ROUNDING);
  });

  it("lists what it knows of parameters without two states under one key, however they are called", () => {
    const [optimizer, a, b] = [make(), parameter(), parameter()];
    updates(optimizer, a, b).sync();
    const keys = optimizer.namedStates("o.").map(([key]) => key);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).toContain("o.rate");
    a.name = "other";
    expect(optimizer.namedStates("o.").map(([key]) => key)).toEqual(keys);
    const named = optimizer.namedStates("", [
      ["w", b],
      ["tied", b],
    ]);
    const slots = named.filter(([key]) => key.includes(".")).map(([key]) => key.split(".")[0]);
    expect(new Set(slots)).toEqual(new Set(["w", "#0"]));
  });

  it("begins anew once all of its states are zero again", () => {
    const [optimizer, a] = [make(), parameter()];
    const step = updates(optimizer, a);
    for (let i = 0; i < 5; i++) step.sync();
    const slots = optimizer.namedStates().filter(([key]) => key.startsWith("#"));
    for (const [, slot] of [...slots, ["", a] as [string, State]]) assign(slot, zeros(slot.shape));
    step.sync();
    expect(Math.abs(a.item() - follow(1))).toBeLessThan(ROUNDING);
  });
});
