// Answers of layers that are promises: what they are kept with, and that what changes meanwhile gets no certificate.
import {
  assign,
  type Container,
  certify,
  Linear,
  LipResidual,
  Module,
  type Rounding,
  Sequential,
  SpectralLinear,
  type Tensor,
  TslipError,
  tensor,
} from "tslip";
import { describe, expect, it, vi } from "vitest";
import { Engine } from "../../src/native.js";
import { codeOf } from "../train/subset.js";
import { Claiming, Doubling, silenceWarnings } from "./custom.js";

silenceWarnings();

const image = tensor([[1, 0]]);
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

/** A model that is not constrained, of these layers. */
function chain(...layers: Module[]): Sequential {
  return new Sequential(layers, { constrained: false });
}

/** x times a number. */
function scaling(factor: number): Linear {
  return new Linear(2, 2, { bias: false }, { weight: tensor([factor, 0, 0, factor], [2, 2]), bias: undefined });
}

/** A layer that keeps what it exports, its weights, to itself: they are the same before and after export. */
class Live extends Module {
  readonly inner = scaling(1);
  /** What happens before the weights are read. */
  constructor(readonly before: () => unknown = turn) {
    super();
  }
  forward(x: Tensor): Tensor {
    return this.inner.forward(x);
  }
  override async lipschitzBound(): Promise<number> {
    await this.before();
    return await this.inner.lipschitzBound();
  }
  override async rounding(results: number): Promise<Rounding> {
    await turn();
    return await this.inner.rounding(results);
  }
}

/** An honest layer that answers late. */
class Late extends Doubling {
  override async lipschitzBound(): Promise<number> {
    await turn();
    return 2;
  }
  override async rounding(): Promise<Rounding> {
    await turn();
    return { roundings: 2, offset: 0 };
  }
}

it("weights of the library's layers are read in the order of jobs: no value comes back while the caller waits", async () => {
  const model = chain(new SpectralLinear(2, 2), chain(new LipResidual(scaling(1)), new Linear(2, 3)), new Late());
  const step = vi.spyOn(Engine.prototype, "step");
  await certify(model, image);
  const steps = step.mock.results.map(({ value }) => value);
  step.mockRestore();
  // States may be filled by steps, which give nothing back.
  expect(steps.flat()).toEqual([]);
});

describe("a layer that answers with promises", () => {
  it("is certified as one that answers at once", async () => {
    const models = (layer: Module): Module[] => [
      layer,
      chain(layer, scaling(0.5)),
      chain(new SpectralLinear(2, 2).vanillaExport(), chain(layer)),
      chain(new LipResidual(layer), layer),
    ];
    const late = models(new Late());
    for (const [i, model] of models(new Doubling()).entries()) {
      const other = late[i] as Module;
      if (i === 2) other.loadStateDict(await model.stateDict());
      expect(await certify(other, image)).toEqual(await certify(model, image));
    }
  });

  it("makes the bound of what holds it a promise, and its table go without", async () => {
    const model = chain(scaling(3), new Late(), chain(new Late()));
    const bound = model.lipschitzBound();
    expect(bound).toBeInstanceOf(Promise);
    expect(await bound).toBe(chain(scaling(3), new Doubling(), chain(new Doubling())).lipschitzBound());
    expect(model.summary([2])).toMatch(/Late .* \?\n/);
  });

  it.each<[string, () => Container]>([
    ["Sequential", () => chain(scaling(2), new SpectralLinear(2, 2))],
    ["LipResidual", () => new LipResidual(scaling(2))],
  ])("does not make one of the bound of a %s of the library's layers", (_, build) => {
    expect(build().lipschitzBound()).toBeTypeOf("number");
  });

  it("answers in evaluation mode, also after it has waited", async () => {
    class Moded extends Late {
      override forward(x: Tensor): Tensor {
        return this.training ? x.mul(0.1) : x.mul(5);
      }
      override async lipschitzBound(): Promise<number> {
        await turn();
        return this.training ? 0.1 : 5 * (1 + 1e-6);
      }
      override async rounding(): Promise<Rounding> {
        await turn();
        return { roundings: this.training ? 0 : 2, offset: 0 };
      }
    }
    for (const model of [new Moded(), chain(new Moded())]) {
      const [certificate] = await certify(model.train(), image);
      expect(certificate).toMatchObject({ margin: 5, lipschitz: 5 * (1 + 1e-6) });
      expect(model.training).toBe(true);
    }
  });
});

describe("weights that change before a promise is kept", () => {
  const larger = tensor([1000, 0, 0, 1000], [2, 2]);

  it("are refused where the layer reads them afterwards", async () => {
    for (const wrap of [(layer: Module) => layer, (layer: Module) => chain(scaling(1), layer)]) {
      const layer = new Live();
      const pending = certify(wrap(layer), image);
      assign(layer.inner.weight, larger);
      await expect(pending).rejects.toThrow(/changed while certifying/);
      // And are certified when they have come to rest.
      const [certificate] = await certify(wrap(layer), image);
      expect(certificate?.lipschitz).toBeGreaterThan(999);
      expect(certificate?.margin).toBe(1000);
    }
  });

  it("are refused where the layer changes them itself, or changes them between its answers", async () => {
    const layer = new Live(() => assign(layer.inner.weight, larger));
    expect(await codeOf(() => certify(layer, image))).toBe("INVALID_ARGUMENT");
  });

  it("change nothing of it where they are not those of the export", async () => {
    const inner = scaling(1);
    const model = chain(inner, new Late());
    const [before] = await certify(model, image);
    const pending = certify(model, image);
    for (const wait of [() => undefined, turn]) {
      await wait();
      assign(inner.weight, larger);
    }
    expect(await pending).toEqual([before]);
  });

  it("are never mixed, whenever they change", async () => {
    for (let ticks = 0; ticks < 40; ticks++) {
      let waited = 0;
      const layer = new Live(async () => {
        for (; waited < 20; waited++) await undefined;
      });
      const pending = certify(layer, image).catch((error: { code: string }) => error.code);
      for (let i = 0; i < ticks; i++) await undefined;
      assign(layer.inner.weight, larger);
      const settled = await pending;
      if (settled === "INVALID_ARGUMENT") continue;
      const [certificate] = settled as Awaited<ReturnType<typeof certify>>;
      expect((certificate?.lipschitz ?? 0) >= (certificate?.margin ?? Number.POSITIVE_INFINITY), `${ticks}`).toBe(true);
    }
  });
});

it("fields that change before a promise is kept are refused", async () => {
  class Sloped extends Late {
    slope = 100;
    override forward(x: Tensor): Tensor {
      return x.mul(this.slope);
    }
    override async lipschitzBound(): Promise<number> {
      await turn();
      return this.slope * (1 + 1e-6);
    }
    override rounding(): Promise<Rounding> {
      return super.rounding();
    }
  }
  const layer = new Sloped();
  const pending = certify(chain(layer), image);
  layer.slope = 1;
  expect(await codeOf(() => pending)).toBe("INVALID_ARGUMENT");
  expect((await certify(chain(layer), image))[0]?.lipschitz).toBeCloseTo(1, 5);
});

describe("a promise that is not kept", () => {
  class Unkept extends Claiming {
    constructor(
      readonly reason: Error,
      readonly method: "lipschitzBound" | "rounding",
    ) {
      super((x) => x);
    }
    override lipschitzBound(): number | Promise<number> {
      return this.method === "lipschitzBound" ? Promise.reject(this.reason) : 1;
    }
    override rounding(): Rounding | Promise<Rounding> {
      return this.method === "rounding" ? Promise.reject(this.reason) : { roundings: 0, offset: 0 };
    }
  }

  it.each(["lipschitzBound", "rounding"] as const)("by %s is told with its own reason", async (method) => {
    const reason = new Error("no proof found");
    await expect(certify(chain(scaling(1), new Unkept(reason, method)), image)).rejects.toBe(reason);
  });

  it("is told by the model's bound, and names the layer where the reason is the library's", async () => {
    const model = chain(scaling(1), new Unkept(new TslipError("NOT_LIPSCHITZ", "no bound"), "lipschitzBound"));
    await expect(model.lipschitzBound()).rejects.toThrow(/^layer 1 \(Unkept\): no bound$/);
    await expect(certify(model, image)).rejects.toThrow(/^layer 1 \(Unkept\): no bound$/);
  });

  it("ends nothing else where the model is refused for another reason", async () => {
    const lost: unknown[] = [];
    const note = (reason: unknown): void => void lost.push(reason);
    process.on("unhandledRejection", note);
    const unkept = new Unkept(new Error("nobody asked"), "lipschitzBound");
    const mixing = chain(unkept, new Claiming((x) => x.sub(x.mean(0))));
    expect(await codeOf(() => certify(mixing, image))).toBe("NOT_LIPSCHITZ");
    expect(await codeOf(() => chain(unkept, new Unbounded()).lipschitzBound())).toBe("NOT_LIPSCHITZ");
    expect(chain(unkept).summary([2])).toContain("?");
    await turn();
    await turn();
    process.off("unhandledRejection", note);
    expect(lost).toEqual([]);
  });
});

/** A layer of no known bound. */
class Unbounded extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

describe("a subclass that overrides one answer of a layer of the library", () => {
  it("is asked for it, late or at once", async () => {
    const values = { weight: tensor([1, 0, 0, 1], [2, 2]), bias: undefined };
    class Careful extends Linear {
      override lipschitzBound(): number {
        return 10 * super.lipschitzBound();
      }
      override vanillaExport(): Linear {
        return this;
      }
    }
    class Blurred extends Careful {
      override rounding(results: number): Rounding {
        return { ...super.rounding(results), offset: 1e8 };
      }
    }
    const [careful] = await certify(new Careful(2, 2, { bias: false }, values), image);
    expect(careful?.lipschitz).toBeCloseTo(10, 8);
    expect(careful?.radius).toBeGreaterThan(0);
    const [blurred] = await certify(new Blurred(2, 2, { bias: false }, values), image);
    expect(blurred?.radius).toBe(0);
    // One that is set on the object counts too.
    const set = new Careful(2, 2, { bias: false }, values);
    Object.assign(set, { lipschitzBound: () => 7 });
    expect((await certify(set, image))[0]?.lipschitz).toBe(7);
  });
});
