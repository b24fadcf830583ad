// Tracing, compiled calls, gradients and states.
import { describe, expect, it, vi } from "vitest";
import {
  assign,
  compile,
  grad,
  Module,
  ones,
  Parameter,
  state,
  type Tensor,
  TslipError,
  tensor,
  type Value,
} from "../../src/index.js";
import { Engine } from "../../src/native.js";
import { State } from "../../src/tensor/index.js";

const codeOf = async (run: () => unknown): Promise<string> => {
  try {
    await run();
  } catch (error) {
    if (error instanceof TslipError) return error.code;
    throw error;
  }
  return "nothing thrown";
};

describe("compile", () => {
  it("returns results laid out and typed as the function's", async () => {
    const f = compile((x: Tensor, y: Tensor) => ({ sum: x.add(y), parts: [x, { y }] }));
    const { sum, parts } = await f(tensor([1, 2]), tensor([3, 4]));
    const y: Value = parts[1].y;
    expect(Array.from(sum.data())).toEqual([4, 6]);
    expect(Array.from(y.data())).toEqual([3, 4]);
    expect(parts[0].shape).toEqual([2]);
  });

  it("traces once for each combination of shapes", async () => {
    let traced = 0;
    const f = compile((x: Tensor) => {
      traced += 1;
      return x.sum();
    });
    for (const n of [2, 3, 2, 3, 2]) expect((await f(ones([n]))).item()).toBe(n);
    expect(traced).toBe(2);
  });

  it("gives snapshots that later calls leave alone", async () => {
    const f = compile((x: Tensor) => x.mul(2));
    const first = await f(tensor([1]));
    await f(tensor([5]));
    expect(first.item()).toBe(2);
  });

  it("runs calls made without awaiting in order", async () => {
    const count = state(tensor(0));
    const step = compile((x: Tensor) => {
      assign(count, count.mul(10).add(x));
      return count.mul(1);
    });
    const [a, b, c] = await Promise.all([step(tensor(1)), step(tensor(2)), step(tensor(3))]);
    expect([a.item(), b.item(), c.item()]).toEqual([1, 12, 123]);
  });

  it("sees the latest assign in the same trace and commits all together", async () => {
    const a = state(tensor(1));
    const b = state(tensor(2));
    await compile(() => {
      const [x, y] = [a.mul(1), b.mul(1)];
      assign(a, y);
      assign(b, x);
      assign(b, b.add(10));
    })();
    expect([a.item(), b.item()]).toEqual([2, 11]);
  });

  it("throws TRACE where a symbolic tensor is asked for its value", async () => {
    expect(await codeOf(() => compile((x: Tensor) => x.mul(x.item()))(tensor(1)))).toBe("TRACE");
    expect(await codeOf(() => compile((x: Tensor) => void x.dataSync())(tensor(1)))).toBe("TRACE");
  });

  it("refuses async functions and tensors that left their trace", async () => {
    let leaked: Tensor | undefined;
    const f = compile((x: Tensor) => {
      leaked = x;
      return x.mul(1);
    });
    await f(tensor(1));
    expect(await codeOf(() => leaked?.add(1))).toBe("TRACE");
    expect(await codeOf(() => leaked?.data())).toBe("TRACE");
    expect(await codeOf(() => compile((x: Tensor) => Promise.resolve(x))(tensor(1)))).toBe("TRACE");
  });

  it("refuses results that are no tensors and arguments that are none", async () => {
    expect(await codeOf(() => compile(() => ({ n: 3 }))())).toBe("TRACE");
    const notTensor: unknown = [1];
    expect(await codeOf(() => compile((x: Tensor) => x)(notTensor as Tensor))).toBe("INVALID_ARGUMENT");
  });

  it("describes its plan after a call", async () => {
    const f = compile((x: Tensor) => x.exp().sum());
    expect(await codeOf(() => f.explain())).toBe("TRACE");
    await f(ones([3]));
    expect(f.explain()).toContain("exp");
  });

  it("measures the milliseconds of every node of a call that takes effect", async () => {
    const count = new Parameter(tensor(1));
    const f = compile((x: Tensor) => {
      assign(count, count.add(1));
      return x.exp().sum();
    });
    const text = await f.profile(ones([3]));
    expect(text).toMatch(/ms a run/);
    expect(text).toMatch(/^ +\d+\.\d+ .*exp/m);
    expect((await count.data())[0]).toBe(2);
  });

  it("traces anew when a module changes its mode", async () => {
    class Doubler extends Module {
      forward(x: Tensor): Tensor {
        return this.training ? x.mul(2) : x;
      }
    }
    const model = new Doubler();
    const f = compile((x: Tensor) => model.forward(x));
    expect((await f(tensor(3))).item()).toBe(6);
    model.eval();
    expect((await f(tensor(3))).item()).toBe(3);
    model.train();
    expect((await f(tensor(3))).item()).toBe(6);
  });
});

describe("grad", () => {
  it("differentiates, and differentiates again", async () => {
    const f = compile((x: Tensor) => {
      const [first] = grad(x.square().mul(x).sum(), [x]);
      const [second] = grad(first.sum(), [x]);
      return { first, second };
    });
    const { first, second } = await f(tensor([1, 2]));
    expect(Array.from(first.data())).toEqual([3, 12]);
    expect(Array.from(second.data())).toEqual([6, 12]);
  });

  it("gives zeros where the loss does not depend on the tensor", () => {
    const [x, y] = [tensor([1, 2]), tensor([3])];
    const [dx, dy] = grad(x.sum(), [x, y]);
    expect([Array.from(dx.dataSync()), Array.from(dy.dataSync())]).toEqual([[1, 1], [0]]);
  });

  it("refuses a loss that is no 0-d f32 tensor", async () => {
    const x = tensor([1, 2]);
    expect(await codeOf(() => grad(x, [x]))).toBe("SHAPE_MISMATCH");
    expect(await codeOf(() => grad(x.argmax(), [x]))).toBe("DTYPE_MISMATCH");
  });

  it("names a parameter that no module lists", () => {
    const hidden = new Parameter(tensor([1]), { name: "hidden scale" });
    class Forgetful extends Module {
      readonly weight = new Parameter(tensor([2]));
      forward(x: Tensor): Tensor {
        return x.mul(this.weight).mul(hidden);
      }
    }
    const model = new Forgetful();
    const parameters = model.parameters();
    expect(() => grad(model.forward(tensor([1])).sum(), parameters)).toThrow(/hidden scale/);
  });

  it("refuses gradients of a parameter assigned after the loss", async () => {
    const w = new Parameter(tensor(1));
    const f = compile((x: Tensor) => {
      const loss = w.mul(x);
      assign(w, w.add(1));
      return grad(loss, [w]);
    });
    expect(await codeOf(() => f(tensor(1)))).toBe("TRACE");
  });

  it("follows a parameter through its update within one trace", async () => {
    const w = new Parameter(tensor(1));
    const step = compile(() => {
      for (let i = 0; i < 2; i++) {
        const [g] = grad(w.square(), [w]);
        assign(w, w.sub(g.mul(0.25)));
      }
    });
    await step();
    expect(w.item()).toBe(0.25);
  });
});

describe("state", () => {
  it("is filled together with others, also with what it starts from, each once", async () => {
    const first = state(tensor([1, 2]).mul(3));
    const second = state(first.add(1));
    const third = state(second.mul(first));
    State.fill([third, second, third, first]);
    expect(await Promise.all([first, second, third].map((one) => one.data()))).toEqual(
      [
        [3, 6],
        [4, 7],
        [12, 42],
      ].map((row) => Float32Array.from(row)),
    );
    const failing = state(first.reshape([2, 1]).matmul(first.reshape([1, 2])));
    const step = vi.spyOn(Engine.prototype, "step").mockImplementationOnce(() => {
      throw new TslipError("INTERNAL", "no step today");
    });
    expect(await codeOf(() => State.fill([failing]))).toBe("INTERNAL");
    step.mockRestore();
    expect(failing.filled).toBe(false);
    expect(await failing.data()).toEqual(Float32Array.of(9, 18, 18, 36));
  });

  it("keeps its shape and type", async () => {
    const s = state(tensor([1, 2]));
    expect(await codeOf(() => assign(s, tensor([1])))).toBe("SHAPE_MISMATCH");
    expect(await codeOf(() => assign(s, tensor(Int32Array.of(1, 2))))).toBe("DTYPE_MISMATCH");
    assign(s, tensor([5, 6]));
    assign(s, s.add(1));
    expect(Array.from(s.dataSync())).toEqual([6, 7]);
  });

  it("cannot be made from a symbolic tensor", async () => {
    expect(await codeOf(() => compile((x: Tensor) => void state(x))(tensor(1)))).toBe("TRACE");
  });
});
