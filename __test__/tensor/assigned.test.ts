// A state that was assigned reads as its new value wherever the trace looks at it, not only as the operand of an op.
import {
  assign,
  assignAll,
  compile,
  evaluate,
  fit,
  fromArrays,
  functional,
  grad,
  Linear,
  type Loss,
  loop,
  Module,
  Parameter,
  Sequential,
  SGD,
  type State,
  type Stateful,
  state,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";

/** The mean output, by way of a state. */
class Remembered implements Loss, Stateful {
  readonly #last = state(zeros([]));
  forward(outputs: Tensor): Tensor {
    assign(this.#last, outputs.mean());
    return this.#last;
  }
  namedStates(prefix = ""): [string, State][] {
    return [[`${prefix}last`, this.#last]];
  }
}

describe("an assigned state", () => {
  it("is returned with its new value, as an op reads it", async () => {
    const s = state(tensor(0));
    const step = compile(() => {
      assign(s, s.add(1));
      return { s, plus: s.add(0), deep: [[s]] };
    });
    for (const want of [1, 2]) {
      const { s: returned, plus, deep } = await step();
      expect([returned.item(), plus.item(), deep[0][0].item()]).toEqual([want, want, want]);
    }
  });

  it("is what the last step of a loop returns", async () => {
    const s = state(tensor(0));
    const { values } = await loop(
      () => {
        assign(s, s.add(1));
        return s;
      },
      { steps: 3 },
    );
    expect(values.item()).toBe(3);
  });

  it("is what a model gives that returns it", () => {
    class Counting extends Module {
      readonly calls = state(zeros([1, 1]));
      forward(_x: Tensor): Tensor {
        assign(this.calls, this.calls.add(1));
        return this.calls;
      }
    }
    expect(new Counting().predictSync(tensor([[7]])).item()).toBe(1);
  });

  it("returned as it began where another state took that value over", async () => {
    const [a, b] = [state(tensor(1)), state(tensor(7))];
    const step = compile(() => {
      assign(b, a);
      assign(a, a.add(1));
      return { a, b };
    });
    const { a: first, b: second } = await step();
    expect([first.item(), second.item(), a.item(), b.item()]).toEqual([2, 1, 2, 1]);
  });

  it("is differentiated as the loss", async () => {
    const p = new Parameter(tensor([2]));
    const loss = state(zeros([]));
    const step = compile(() => {
      assign(loss, p.square().sum());
      return grad(loss, [p]);
    });
    expect((await step())[0].item()).toBe(4);
  });

  it("is refused as a loss that reaches a forgotten parameter", () => {
    const [listed, forgotten] = [new Linear(1, 1, { bias: false }), new Parameter(tensor([[2]]))];
    const loss = state(zeros([]));
    const step = compile(() => {
      assign(loss, listed.weight.mul(forgotten).sum());
      return grad(loss, listed.parameters());
    });
    expect(() => step.sync()).toThrow(/which no parameters\(\) lists/);
  });

  it("is differentiated with respect to what it was assigned", async () => {
    const p = new Parameter(tensor([2]));
    const step = compile(() => {
      assign(p, p.mul(3));
      return grad(p.square().sum(), [p]);
    });
    expect((await step())[0].item()).toBe(12);
  });

  it("trains as a loss with memory that returns its state", async () => {
    const layer = new Linear(1, 1, { bias: false });
    layer.loadStateDict({ weight: tensor([[1]]) });
    const model = new Sequential([layer], { constrained: false });
    const data = fromArrays(Float32Array.of(1), [1, 1], { data: Float32Array.of(0), shape: [1, 1] });
    const optimizer = new SGD({ lr: 0.25 });
    const options = { epochs: 2, batchSize: 1, loss: new Remembered(), optimizer, verbose: false };
    const { epochs } = await fit(model, data, options);
    expect(epochs.map(({ loss }) => loss)).toEqual([1, 0.75]);
    expect(layer.weight.item()).toBe(0.5);
    expect((await evaluate(model, data, { loss: new Remembered() }))["loss"]).toBe(0.5);
  });

  it("has its new value looked at by what demands something of targets", () => {
    const target = state(tensor(Int32Array.of(0)));
    const logits = tensor([[0, 1]]);
    const fixed = compile(() => {
      assign(target, tensor(Int32Array.of(5)));
      return functional.crossEntropy(logits, target);
    });
    expect(() => fixed.sync()).toThrow(/5/);
    const given = compile((labels: Tensor) => {
      assign(target, labels);
      return functional.crossEntropy(logits, target);
    });
    expect(given.sync(tensor(Int32Array.of(1))).item()).toBeGreaterThan(0);
    expect(() => given.sync(tensor(Int32Array.of(5)))).toThrow(/5/);
  });

  const same: [string, (s: Tensor) => Tensor][] = [
    ["cast to its own type", (s) => s.cast("f32")],
    ["clip without bounds", (s) => s.clip()],
    ["reshape to its own shape", (s) => s.reshape([2])],
    ["flatten", (s) => s.flatten()],
    ["permute in order", (s) => s.permute([0])],
    ["broadcastTo its own shape", (s) => s.broadcastTo([2])],
    ["slice of all", (s) => s.slice([])],
    ["stopGradient", (s) => s.stopGradient()],
    ["concat with nothing", (s) => s.concat([])],
  ];
  it.each(same)("after %s is the value of that moment", async (_, read) => {
    const s = state(tensor([1, 2]));
    const step = compile(() => {
      const before = read(s);
      assign(s, tensor([5, 6]));
      return { before, sum: before.add(0), after: read(s) };
    });
    const { before, sum, after } = await step();
    expect([before, sum, after].map((value) => [...value.held()])).toEqual([
      [1, 2],
      [1, 2],
      [5, 6],
    ]);
  });

  it("exchanges with another after an assign of this trace", async () => {
    const [a, b] = [state(tensor(1)), state(tensor(7))];
    await compile(() => {
      assign(a, a.add(1));
      assignAll([
        [a, b],
        [b, a],
      ]);
    })();
    expect([a.item(), b.item()]).toEqual([7, 2]);
  });
});
