// What tensors, and what holds them, are to JavaScript: conditions, text, comparison, JSON, clones.
import assert from "node:assert/strict";
import { inspect } from "node:util";
import {
  Adam,
  arange,
  certify,
  compile,
  DDNAttack,
  fromArrays,
  full,
  Generator,
  L2CarliniWagnerAttack,
  Linear,
  Module,
  Parameter,
  rand,
  state,
  type Tensor,
  TrainingState,
  TslipError,
  tensor,
  type Value,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";

/** The error of code that must throw one of ours. */
function errorOf(run: () => unknown): TslipError {
  try {
    run();
  } catch (error) {
    if (error instanceof TslipError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

// As plain JavaScript has it.
const number = (t: Tensor): number => t as unknown as number;

describe("a tensor where JavaScript needs a number", () => {
  const uses: [string, (t: Tensor) => unknown][] = [
    ["a comparison", (t) => (number(t) > 0 ? 1 : 2)],
    ["a comparison on the right", (t) => 0 <= number(t)],
    // biome-ignore lint/suspicious/noDoubleEquals: the mistake that is tested.
    ["== with a number", (t) => number(t) == 1],
    ["arithmetic", (t) => number(t) * 2],
    ["a sum", (t) => number(t) + 1],
    ["a sum of two", (t) => number(t) + number(t)],
    // biome-ignore lint/style/useTemplate: the mistake that is tested.
    ["a sum with text", (t) => "loss: " + number(t)],
    ["unary plus", (t) => +number(t)],
    ["Number", (t) => Number(t)],
    ["a function of Math", (t) => Math.max(number(t), 0)],
    // biome-ignore lint/suspicious/noGlobalIsNan: the mistake that is tested.
    ["isNaN", (t) => isNaN(number(t))],
    ["a typed array", (t) => Float32Array.from([number(t)])],
  ];
  it.each(uses)("is refused: %s", async (_, use) => {
    const parameter = new Parameter(tensor([1]));
    for (const one of [tensor(1), tensor([1]).sum(), zeros([2]), parameter, parameter.sum()]) {
      const { code, message } = errorOf(() => use(one));
      expect(code).toBe("INVALID_ARGUMENT");
      expect(message).toContain(`${one.dtype} [${one.shape.join(", ")}]`);
      expect(message).toMatch(/where\(.*item\(\)/);
    }
    const branching = compile((x: Tensor) => {
      use(x.sum());
      return x;
    });
    await expect(branching(tensor([1]))).rejects.toThrow(
      /^Tensor f32 \[\] stands where JavaScript needs a number.*where\(.*no value yet$/,
    );
    const constant = compile((x: Tensor) => {
      use(parameter);
      return x;
    });
    expect(await constant(tensor([1])).catch(({ code }: TslipError) => code)).toBe("TRACE");
  });
});

describe("text", () => {
  it.each<[string, Tensor, string]>([
    ["of one number", tensor(1.5), "Value f32 [] 1.5"],
    ["of a vector", tensor([1, -2.5, 0.1]), "Value f32 [3] [1, -2.5, 0.1]"],
    ["of a matrix, in columns", tensor([[1, -20], [3.25, 4]]), "Value f32 [2, 2]\n[[   1,  -20],\n [3.25,    4]]"], // biome-ignore format: as it is printed.
    ["of what is not finite", tensor([Number.NaN, -Infinity, -0]), "Value f32 [3] [NaN, -Infinity, -0]"],
    ["of large and small numbers", tensor([16_777_215, 1e-9, 1e30]), "Value f32 [3] [16777215, 1e-9, 1e+30]"],
    ["of whole numbers", tensor(Int32Array.of(-7, 2147483647)), "Value i32 [2] [-7, 2147483647]"],
    ["of booleans", tensor([true, false]), "Value bool [2] [true, false]"],
    ["of nothing", tensor(new Float32Array(), [0, 3]), "Value f32 [0, 3]\n[]"],
    ["of three axes", tensor(Uint8Array.of(1, 2, 3, 4), [2, 1, 2]), "Value u8 [2, 1, 2]\n[[[1, 2]],\n\n [[3, 4]]]"],
    ["of an expression of constants", tensor([1, 2]).add(1), "Tensor f32 [2] [2, 3]"],
    ["of a constant that has no values yet", full([2], 7), "Tensor f32 [2] [7, 7]"],
    ["of a long vector", arange(1000), "Tensor i32 [1000] [0, 1, 2, ..., 997, 998, 999]"],
    [
      "of a hundred numbers",
      arange(100).reshape([1, 100]),
      `Tensor i32 [1, 100]\n[[${Array.from({ length: 100 }, (_, i) => String(i).padStart(2)).join(", ")}]]`,
    ],
    [
      "of a long matrix",
      arange(120).reshape([60, 2]),
      "Tensor i32 [60, 2]\n[[  0,   1],\n [  2,   3],\n [  4,   5],\n ...,\n [114, 115],\n [116, 117],\n [118, 119]]",
    ],
    [
      "of images",
      arange(4 * 3 * 28 * 28)
        .reshape([4, 3, 28, 28])
        .slice([0, 0], [4, 1]),
      "Tensor i32 [4, 1, 28, 28]\n[[[[   0, ...,   27],\n   ...,\n   [ 756, ...,  783]]],\n\n\n ...,\n\n\n [[[7056, ..., 7083],\n   ...,\n   [7812, ..., 7839]]]]",
    ],
    [
      "of a state, which is not read",
      state(zeros([2]), { name: "mean" }),
      'State "mean" f32 [2] (state; data() reads it)',
    ],
    ["of a parameter", new Parameter(zeros([2])), 'Parameter "parameter" f32 [2] (state; data() reads it)'],
    ["of an expression of states", state(zeros([2])).add(1), "Tensor f32 [2] (add; data() reads it)"],
  ])("%s", (_, one, text) => {
    expect(`${one}`).toBe(text);
    expect(String(one)).toBe(text);
    expect(one.toString()).toBe(text);
    expect(inspect(one)).toBe(text);
  });

  it("of a symbolic tensor says so, and that of a constant in a compiled function computes nothing", async () => {
    const texts: string[] = [];
    const held = tensor([1, 2]);
    await compile((x: Tensor) => {
      texts.push(`${x}`, inspect(x.add(1)), `${held}`, `${held.add(1)}`, `${rand([2])}`);
      return x;
    })(held);
    expect(texts).toEqual([
      "Tensor f32 [2] (input; symbolic: it has values in a call alone)",
      "Tensor f32 [2] (add; symbolic: it has values in a call alone)",
      "Value f32 [2] [1, 2]",
      "Tensor f32 [2] (add; data() reads it)",
      "Tensor f32 [2] (random_step; symbolic: it has values in a call alone)",
    ]);
  });

  it("is indented in other objects, and has no values deep in them", () => {
    const matrix = tensor([[1], [2]]);
    expect(inspect({ a: matrix })).toBe("{\n  a: Value f32 [2, 1]\n  [[1],\n   [2]]\n}");
    expect(inspect({ a: { b: { c: matrix } } })).toContain("c: Value f32 [2, 1] }");
  });

  it("stays short, whatever the size", () => {
    for (const shape of [[1_000_000], [1000, 1000], [10, 10, 10, 10, 10]]) {
      expect(`${zeros(shape)}`.length).toBeLessThan(1000);
    }
    const images = fromArrays(new Uint8Array(784_000), [1000, 28, 28], new Array(1000).fill(0));
    expect(inspect(images).length).toBeLessThan(300);
    expect(inspect(new Linear(1000, 1000)).length).toBeLessThan(500);
  });

  it("of a data set says what it holds", () => {
    const images = fromArrays(Float32Array.of(1, 2), [2, 1], ["a", "b"]);
    expect(inspect(images)).toMatch(
      /^Dataset \{[\s\S]*length: 2,[\s\S]*shape: \[ 1 \],[\s\S]*imageDtype: 'f32',[\s\S]*'a', 'b'/,
    );
    expect(JSON.parse(JSON.stringify(images))).toEqual({
      length: 2,
      shape: [1],
      imageDtype: "f32",
      target: { dtype: "i32", shape: [] },
      classNames: ["a", "b"],
    });
  });
});

describe("comparison field by field", () => {
  const passes = (one: unknown, other: unknown): boolean[] => [
    attempt(() => expect(one).toEqual(other)),
    attempt(() => expect(one).toStrictEqual(other)),
    attempt(() => assert.deepStrictEqual(one, other)),
  ];
  const attempt = (run: () => void): boolean => {
    try {
      run();
      return true;
    } catch {
      return false;
    }
  };
  const all = [true, true, true];
  const none = [false, false, false];
  const module = new Linear(2, 2);

  it.each<[string, () => unknown, unknown]>([
    ["values", () => tensor([1, Number.NaN]), tensor([1, 2])],
    ["values that differ by a rounding", () => tensor([1]), tensor([1 + 2 ** -23])],
    ["values of another shape", () => tensor([1, 2]), tensor([[1, 2]])],
    ["values of another type", () => tensor([1]), tensor(Int32Array.of(1))],
    ["expressions", () => tensor([1]).add(1), tensor([1]).add(2)],
    ["expressions of other values", () => tensor([1]).add(1), tensor([2]).add(1)],
    ["constants", () => full([2], 1), full([2], 2)],
    ["attacks", () => new DDNAttack({ steps: 3 }), new DDNAttack({ steps: 4 })],
    ["Carlini-Wagner attacks", () => new L2CarliniWagnerAttack(), new L2CarliniWagnerAttack({ stepsize: 1 })],
    ["records of values", () => ({ a: [tensor([1])] }), { a: [tensor([2])] }],
    ["data sets", () => fromArrays(Float32Array.of(1), [1, 1], [0]), fromArrays(Float32Array.of(2), [1, 1], [0])],
    ["trainings", () => new TrainingState({ model: module }), new TrainingState({ model: new Linear(2, 2) })],
  ])("tells %s apart, and finds equal ones equal", (_, make, other) => {
    expect(passes(make(), make())).toEqual(all);
    expect(passes(make(), other)).toEqual(none);
    expect(passes(other, make())).toEqual(none);
  });

  it.each<[string, () => unknown]>([
    ["a state", () => state(tensor([1]))],
    ["a parameter", () => new Parameter(tensor([1]))],
    ["a module", () => new Linear(2, 2)],
    ["an optimizer", () => new Adam()],
    ["a generator", () => new Generator({ seed: 1 })],
  ])("finds %s equal to itself alone", (_, make) => {
    const one = make();
    expect(passes(one, one)).toEqual(all);
    expect(passes(one, make())).toEqual(none);
  });

  it("prints the values that differ", () => {
    expect(() => expect(tensor([1, 5])).toEqual(tensor([1, 6]))).toThrow(
      expect.objectContaining({ actual: tensor([1, 5]), expected: tensor([1, 6]) }),
    );
    expect(() => assert.deepStrictEqual(tensor([1, 5]), tensor([1, 6]))).toThrow(/\+ +5\n- +6/);
  });
});

describe("JSON", () => {
  const back = (text: string): Value => {
    const { data, shape, dtype } = JSON.parse(text) as ReturnType<Tensor["toJSON"]>;
    return tensor(data.map(Number), shape, { dtype });
  };

  it("has shape, element type and values, and is read back bit for bit", () => {
    const odd = tensor([0.1, Number.NaN, Infinity, -Infinity, -0, 1e-45], [2, 3]);
    expect(JSON.stringify(odd)).toBe(
      '{"shape":[2,3],"dtype":"f32","data":[0.10000000149011612,"NaN","Infinity","-Infinity","-0",1.401298464324817e-45]}',
    );
    for (const one of [odd, tensor(Int32Array.of(-1, 2)), tensor(Uint8Array.of(255)), tensor([true, false])]) {
      expect(back(JSON.stringify(one))).toEqual(one);
    }
  });

  it("of expressions and states has the values of the moment; a symbolic tensor has none", async () => {
    const counter = state(zeros([]));
    counter.assign(tensor(2));
    expect(JSON.parse(JSON.stringify({ sum: counter.add(1), counter }))).toEqual({
      sum: { shape: [], dtype: "f32", data: [3] },
      counter: { shape: [], dtype: "f32", data: [2] },
    });
    const telling = compile((x: Tensor) => {
      JSON.stringify(x);
      return x;
    });
    await expect(telling(tensor([1]))).rejects.toThrow(/symbolic tensor/);
  });

  it("of results of an attack keeps distances that are infinite", async () => {
    class Constant extends Module {
      forward(x: Tensor): Tensor {
        const one = x.slice([0, 0], [x.shape[0] ?? 0, 1]).mul(0);
        return one.add(1).concat(one, 1);
      }
    }
    const result = await new DDNAttack({ steps: 2 }).run(new Constant(), tensor([[0.5], [0.25]]), [0, 1]);
    const images = { shape: [2, 1], dtype: "f32", data: [0.5, 0.25] };
    expect(JSON.parse(JSON.stringify(result))).toEqual({
      raw: images,
      clipped: images,
      distances: ["Infinity", 0],
      success: [false, true],
    });
    expect(inspect(result)).toMatch(/^AttackResult \{[\s\S]*Value f32 \[2, 1\][\s\S]*\[ Infinity, 0 \]/);
  });

  it("of a certificate is what it claims", async () => {
    const [certificate] = await certify(new Linear(2, 2).vanillaExport(), tensor([[1, 2]]));
    expect(JSON.parse(JSON.stringify(certificate))).toEqual(certificate);
  });
});

it("a clone has the values, and can be made a tensor again", () => {
  const one = tensor([1.5, Number.NaN, -0]);
  const { values, shape, dtype } = structuredClone(one) as unknown as { values: Float32Array } & Value;
  expect(tensor(values, shape, { dtype })).toEqual(one);
});
