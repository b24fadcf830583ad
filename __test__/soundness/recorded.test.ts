// What a recording must show of a model: which value is its result, what its layers read, and that batches change nothing.
import {
  Container,
  certify,
  type Flow,
  Identity,
  Linear,
  Module,
  type Rounding,
  Sequential,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { Claiming, silenceWarnings } from "./custom.js";

silenceWarnings();

/** x times a number. */
function scaling(factor: number): Linear {
  return new Linear(2, 2, { bias: false }, { weight: tensor([factor, 0, 0, factor], [2, 2]), bias: undefined });
}

const image = tensor([[1, 0]]);

describe("a container that computes more than it returns", () => {
  class Auxiliary extends Container {
    readonly head = scaling(128);
    readonly aside = scaling(1 / 128);
    constructor(readonly returned: "head" | "aside" | "input") {
      super();
    }
    flow<V>(x: V, flow: Flow<V>): V {
      const head = flow.through(this.head, x, "head");
      const aside = flow.through(this.aside, head, "aside");
      return { head, aside, input: x }[this.returned];
    }
    override vanillaExport(): Module {
      return this;
    }
  }

  it.each([
    ["head", 128],
    ["aside", 1],
    ["input", 1],
  ] as const)("is bounded by what leads to its result, %s", async (returned, lipschitz) => {
    const model = new Auxiliary(returned);
    expect(model.lipschitzBound()).toBeGreaterThanOrEqual(lipschitz);
    expect(model.lipschitzBound()).toBeCloseTo(lipschitz, 8);
    const behind = new Sequential([model, new Identity()], { constrained: false });
    for (const certified of [model, behind]) {
      const [certificate] = await certify(certified, image);
      expect(certificate?.lipschitz).toBeCloseTo(lipschitz, 8);
      expect(certificate?.radius).toBeLessThanOrEqual(Math.SQRT1_2);
      expect(certificate?.radius).toBeCloseTo(Math.SQRT1_2, 5);
    }
  });
});

describe("layers under one name", () => {
  class Chain extends Container {
    constructor(readonly parts: readonly Module[]) {
      super();
    }
    flow<V>(x: V, flow: Flow<V>): V {
      return this.parts.reduce((value, part) => flow.through(part, value, "part"), x);
    }
    override vanillaExport(): Module {
      return this;
    }
  }

  it("keep their bounds apart", async () => {
    const factors = [128, 1 / 128, 8];
    const [certificate] = await certify(new Chain(factors.map(scaling)), image);
    expect(certificate?.lipschitz).toBeGreaterThanOrEqual(8);
    expect(certificate?.lipschitz).toBeCloseTo(8, 9);
    expect(certificate?.radius).toBeLessThanOrEqual(Math.SQRT1_2);
  });
});

describe("a layer that is another one for batches of one size", () => {
  const samplesOf = (x: Tensor): number => x.shape[0] ?? 0;
  const depending: [string, (x: Tensor) => Tensor][] = [
    ["other columns", (x) => x.slice([0, samplesOf(x) === 9 ? 2 : 0], [samplesOf(x), samplesOf(x) === 9 ? 4 : 2])],
    [
      "other columns in all larger ones",
      (x) => (samplesOf(x) > 9 ? x.slice([0, 2]) : x.slice([0, 0], [samplesOf(x), 2])),
    ],
    ["another number", (x) => x.mul(samplesOf(x) === 9 ? 1 : -1)],
    ["rows of another length", (x) => x.reshape([-1, samplesOf(x) === 9 ? 4 : 2]).reshape([samplesOf(x), -1])],
    ["another sign of zero", (x) => x.div(tensor([[1, samplesOf(x) === 9 ? 0 : -0, 1, 1]]))],
    ["another axis", (x) => x.sub(x.reshape([-1, 2, 2]).sum(samplesOf(x) === 9 ? 1 : 2))],
  ];
  it.each(depending)("by %s is refused in a batch of that size", async (_, apply) => {
    const pixels = Float32Array.from({ length: 36 }, (_, i) => (i * 7) % 5);
    const nine = new Claiming(apply, 2);
    expect(await codeOf(() => certify(nine, tensor(pixels, [9, 4])))).toMatch(/NOT_LIPSCHITZ|SHAPE_MISMATCH/);
  });

  it("is told apart also by a million numbers", async () => {
    const long = (n: number): Tensor => tensor(new Float32Array(1_000_000).fill(n), [1, 1_000_000]);
    const [same, other] = [1, 2].map((n) => long(n)) as [Tensor, Tensor];
    const sized = new Claiming((x) => x.add(samplesOf(x) === 9 ? other : same).slice([0, 0], [samplesOf(x), 2]));
    const x = tensor(new Float32Array(9), [9, 1]);
    await expect(certify(sized, x)).rejects.toThrow(/another number of samples/);
  });
});

describe("a layer that reads more than it is given", () => {
  it("is refused, and named", async () => {
    let kept: Tensor | undefined;
    const keeping = new Claiming((x) => {
      kept = x;
      return x;
    });
    const adding = new Claiming((x) => x.add((kept ?? x).mul(100)));
    const model = new Sequential([keeping, scaling(0.01), adding], { constrained: false });
    const refused = certify(model, image);
    expect(await codeOf(() => refused)).toBe("NOT_LIPSCHITZ");
    await expect(refused).rejects.toThrow(/layer 2 \(Claiming\).*reads more/);
    // The images themselves, as they are before they are divided by 255.
    const bytes = tensor(Uint8Array.of(200, 10), [1, 2]);
    expect(await codeOf(() => certify(model, bytes))).toBe("NOT_LIPSCHITZ");
    expect(await codeOf(() => certify(new Sequential([keeping, new Identity()], { constrained: false }), bytes))).toBe(
      "nothing thrown",
    );
  });
});

describe("weights in a private field that change while certifying", () => {
  it("are refused as those in other fields are", async () => {
    class Hidden extends Module {
      readonly #inner = scaling(1);
      forward(x: Tensor): Tensor {
        return this.#inner.forward(x);
      }
      override lipschitzBound(): number {
        const bound = this.#inner.lipschitzBound();
        this.#inner.weight.assign(tensor([100, 0, 0, 100], [2, 2]));
        return bound;
      }
      override rounding(results: number): Rounding {
        return this.#inner.rounding(results);
      }
    }
    await expect(certify(new Hidden(), image)).rejects.toThrow(/changed while certifying/);
  });
});
