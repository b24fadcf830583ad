// What containers promise of the whole, and what they say where a part does not let them.
import {
  Concat,
  Container,
  type Flow,
  fromJSON,
  Identity,
  Linear,
  LipResidual,
  MaxPool2d,
  type Module,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
} from "tslip";
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";

let warn: MockInstance<typeof process.emitWarning>;
beforeEach(() => {
  warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
});
afterEach(() => warn.mockRestore());

const warnings = (): string[] => warn.mock.calls.map(([message]) => String(message));

const containers: [string, (part: Module, options: { kCoefLip?: number; constrained?: boolean }) => Module, RegExp][] =
  [
    [
      "Sequential",
      (part, options) => new Sequential([new Identity(), part], options),
      /^layer 1 \(Linear\) of a Sequential /,
    ],
    ["Concat", (part, options) => new Concat([new Identity(), part], options), /^branch 1 \(Linear\) of a Concat /],
    ["LipResidual", (part, options) => new LipResidual(part, options), /^branch \(Linear\) of a LipResidual /],
  ];

describe.each(containers)("a %s", (_, build, message) => {
  it("names a part that is not Lipschitz by construction, and is none itself", () => {
    const whole = build(new Linear(4, 4), { kCoefLip: 1.5 });
    expect(whole.lipschitzByConstruction).toBe(false);
    expect(warnings()).toEqual([expect.stringMatching(message)]);
    expect(warnings()[0]).toMatch(/is not Lipschitz by construction: kCoefLip says nothing about the whole/);
  });

  it("keeps its constant without a warning where all parts do", () => {
    const whole = build(new SpectralLinear(4, 4), { kCoefLip: 1.5 });
    expect(whole.lipschitzByConstruction).toBe(true);
    expect(whole.lipschitzBound()).toBeLessThanOrEqual(1.5 * (1 + 1e-5));
    expect(warnings()).toEqual([]);
  });

  it("says nothing where it promises nothing, as its export does, also once that is read from a file", () => {
    const exported = build(new SpectralLinear(4, 4), { kCoefLip: 1.5 }).vanillaExport();
    for (const whole of [
      build(new Linear(4, 4), { constrained: false }),
      exported,
      fromJSON(JSON.parse(JSON.stringify(exported))),
    ]) {
      expect(whole.lipschitzByConstruction).toBe(false);
    }
    expect(warnings()).toEqual([]);
  });
});

describe("a container of one's own", () => {
  class Residual extends Container {
    constructor(readonly branch: Module) {
      super();
    }
    flow<V>(x: V, flow: Flow<V>): V {
      return flow.sum([x, flow.through(this.branch, x, "branch")]);
    }
    vanillaExport(): this {
      return this;
    }
  }
  class Chain extends Residual {
    override flow<V>(x: V, flow: Flow<V>): V {
      return flow.through(this.branch, x, "branch");
    }
  }

  it.each([
    ["a sum", (part: Module) => new Residual(part)],
    ["a chain", (part: Module) => new Chain(part)],
  ])(
    "that is %s promises nothing of what its flow makes of its parts, and is named where a constant is asked",
    (_, build) => {
      expect(build(new SpectralLinear(2, 2)).lipschitzByConstruction).toBe(false);
      for (const [, whole, message] of containers) {
        warn.mockClear();
        expect(whole(build(new SpectralLinear(2, 2)), { kCoefLip: 1.5 }).lipschitzByConstruction).toBe(false);
        expect(warnings()).toEqual([
          expect.stringMatching(new RegExp(message.source.replace("Linear", "(Residual|Chain)"))),
        ]);
      }
    },
  );
});

it("a container that holds another with such a part says so too", () => {
  const inner = new Sequential([new Linear(2, 2)]);
  expect(new Sequential([new SpectralLinear(2, 2), inner]).lipschitzByConstruction).toBe(false);
  expect(warnings()).toEqual([
    expect.stringMatching(/^layer 0 \(Linear\) of a Sequential/),
    expect.stringMatching(/^layer 1 \(Sequential\) of a Sequential/),
  ]);
});

it("a Sequential shares its constant out over one that has such a part", () => {
  const layer = new SpectralLinear(2, 2);
  new Sequential([new Sequential([layer, new Linear(2, 2)])], { kCoefLip: 3 });
  expect(layer.kCoefLip).toBe(3);
});

it("pooling over windows that do not overlap keeps the constant of a Sequential", () => {
  const convolution = new SpectralConv2d(1, 2, { kernelSize: 3, padding: 1 });
  const model = new Sequential([convolution, new MaxPool2d({ kernelSize: 2 })]);
  expect(warnings()).toEqual([]);
  expect(model.lipschitzByConstruction).toBe(true);
  new Sequential([convolution, new MaxPool2d({ kernelSize: 3, stride: 2 })]);
  expect(warnings()).toEqual([expect.stringMatching(/^layer 1 \(MaxPool2d\)/)]);
});

describe("a layer that stands in several containers", () => {
  const layer = (): SpectralLinear => new SpectralLinear(2, 2, { bias: false });
  type Nesting = (shared: SpectralLinear, kCoefLip?: number) => Module;
  const nestings: [string, Nesting][] = [
    ["beside a Sequential of it", (a, kCoefLip) => new Sequential([a, new Sequential([a])], { kCoefLip })],
    ["behind a Sequential of it", (a, kCoefLip) => new Sequential([new Sequential([a]), a], { kCoefLip })],
    ["beside a LipResidual of it", (a, kCoefLip) => new Sequential([a, new LipResidual(a)], { kCoefLip })],
    ["beside a Concat of it", (a, kCoefLip) => new Sequential([a, new Concat([a])], { kCoefLip })],
    ["in a Concat, beside a Sequential of it", (a, kCoefLip) => new Concat([a, new Sequential([a])], { kCoefLip })],
  ];

  it.each(nestings)("%s cannot make the whole exceed its constant: it is refused", (_, nest) => {
    const shared = layer();
    expect(() => nest(shared, 4)).toThrow(/stands in several containers.*give the layer a kCoefLip of its own/s);
    expect(shared.kCoefLip).toBe(1);
  });

  it.each(nestings)("%s keeps the constant of the whole where it has one of its own", (_, nest) => {
    const shared = new SpectralLinear(2, 2, { bias: false, kCoefLip: 0.75 });
    expect(nest(shared, 4).lipschitzBound()).toBeLessThanOrEqual(4 * (1 + 1e-5));
  });

  it("is not changed by a container around one of them", () => {
    const shared = layer();
    const first = new Sequential([shared]);
    const second = new Sequential([shared, layer()], { kCoefLip: 9 });
    expect(() => new Sequential([first], { kCoefLip: 4 })).toThrow(/stands in several containers/);
    expect(shared.kCoefLip).toBe(1);
    expect(second.lipschitzBound()).toBeLessThanOrEqual(9 * (1 + 1e-5));
  });

  it("takes its share of each place of one container, and of one container in several places", () => {
    const [twice, tied] = [layer(), layer()];
    new Sequential([twice, twice], { kCoefLip: 4 });
    expect(twice.kCoefLip).toBe(2);
    const block = new Sequential([tied]);
    new Sequential([block, block], { kCoefLip: 4 });
    expect(tied.kCoefLip).toBe(2);
  });
});

it.each<[string, (parts: Module[]) => Module]>([
  ["Sequential", (parts) => new Sequential(parts, { kCoefLip: 4 })],
  ["Concat", (parts) => new Concat(parts, { kCoefLip: 4 })],
  ["LipResidual", (parts) => new LipResidual(new Sequential(parts), { kCoefLip: 4 })],
])("a %s that is refused leaves its parts the constants that they had", (_, build) => {
  const [open, inner] = [new SpectralLinear(2, 2), new SpectralLinear(2, 2)];
  const nested = new Sequential([inner]);
  // The last part leaves no room for what the whole asks of it.
  const full = new Sequential([new Sequential([new SpectralLinear(2, 2, { kCoefLip: 8 })])], { kCoefLip: 8 });
  const stuck = new LipResidual(new SpectralLinear(2, 2, { kCoefLip: 1 }));
  expect(() => build([open, nested, new Sequential([stuck, full])])).toThrow(/kCoefLip/);
  expect([open, inner, nested].map((layer) => layer.kCoefLip)).toEqual([1, 1, 1]);
  // None of them is counted on, so that they may stand elsewhere.
  new Sequential([open, nested], { kCoefLip: 9 });
  expect([open.kCoefLip, inner.kCoefLip]).toEqual([3, 3]);
});
