// Evaluation computes with what states hold and leaves them as they are; training writes them.
import {
  assign,
  CrossEntropyLoss,
  evaluate,
  fit,
  fromArrays,
  Generator,
  Linear,
  type Loss,
  Module,
  SGD,
  type State,
  type Stateful,
  scalar,
  state,
  type Tensor,
  TrainingState,
  tensor,
} from "tslip";
import { expect, it } from "vitest";
import { clouds, smallNetwork, weightsOf } from "./subset.js";

/** A loss that is the number of its calls, and one that is that state itself. */
class Counting implements Loss, Stateful {
  readonly calls = state(scalar(0), { name: "calls" });
  readonly #itself: boolean;
  constructor(itself = false) {
    this.#itself = itself;
  }
  forward(outputs: Tensor): Tensor {
    const calls = this.calls.add(1);
    assign(this.calls, calls);
    return this.#itself ? this.calls : calls.add(outputs.sum().mul(0));
  }
  namedStates(prefix = ""): [string, State][] {
    return [[`${prefix}calls`, this.calls]];
  }
}

it.each([false, true])(
  "evaluate counts on from a loss's memory and does not write it (state itself: %s)",
  async (itself) => {
    const loss = new Counting(itself);
    const model = smallNetwork();
    expect(await evaluate(model, clouds(), { loss })).toEqual({ loss: 1 });
    expect(await evaluate(model, clouds(), { loss })).toEqual({ loss: 1 });
    assign(loss.calls, scalar(5));
    expect(await evaluate(model, clouds(), { loss })).toEqual({ loss: 6 });
    expect(loss.calls.item()).toBe(5);
  },
);

it("evaluate leaves what metrics and modules assign", async () => {
  const [seen, passed] = [state(scalar(0)), state(scalar(0))];
  class Passing extends Module {
    readonly inner = smallNetwork();
    forward(x: Tensor): Tensor {
      assign(passed, passed.add(1));
      return this.inner.forward(x);
    }
  }
  const samples = (outputs: Tensor): Tensor => {
    assign(seen, seen.add(outputs.shape[0] ?? 0));
    return seen;
  };
  expect(await evaluate(new Passing(), clouds(60), { metrics: { samples } })).toEqual({ samples: 60 });
  expect([seen.item(), passed.item()]).toEqual([0, 0]);
});

it("validation changes neither the training nor what a TrainingState keeps", async () => {
  class Weighing extends Counting {
    override forward(outputs: Tensor, targets?: Tensor): Tensor {
      const calls = super.forward(outputs);
      return targets === undefined ? calls : new CrossEntropyLoss().forward(outputs, targets).mul(calls);
    }
  }
  const results = [];
  for (const validation of [undefined, clouds(33)]) {
    const [model, loss, optimizer] = [smallNetwork(), new Weighing(), new SGD({ lr: 0.01 })];
    const more = validation === undefined ? {} : { validation };
    await fit(model, clouds(50), { epochs: 3, batchSize: 20, loss, optimizer, verbose: false, ...more });
    const taken = await new TrainingState({ model, optimizer, loss }).snapshot();
    results.push([weightsOf(model), taken["loss.calls"]?.item()]);
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[0]?.[1]).toBe(9);
});

it("fit trains by a loss that is a state it has just assigned", async () => {
  const kept = state(scalar(0));
  const loss = {
    forward(outputs: Tensor): Tensor {
      assign(kept, outputs.mean());
      return kept;
    },
  };
  const model = new Linear(1, 1, { bias: false }, { weight: tensor([[1]]), bias: undefined });
  const data = fromArrays(Float32Array.of(1), [1, 1], Float32Array.of(0));
  const { epochs } = await fit(model, data, {
    epochs: 2,
    batchSize: 1,
    loss,
    optimizer: new SGD({ lr: 0.25 }),
    validation: data,
    verbose: false,
  });
  expect(epochs.map((record) => [record.loss, record.val_loss])).toEqual([
    [1, 0.75],
    [0.75, 0.5],
  ]);
  expect(kept.item()).toBe(0.75);
});

it("a generator draws the same numbers in each evaluation between two steps, those of the next step", async () => {
  const source = new Generator({ seed: 4 });
  const noise = (): Tensor => source.uniform([]);
  const once = await evaluate(smallNetwork(), clouds(), { metrics: { noise } });
  expect(await evaluate(smallNetwork(), clouds(), { metrics: { noise } })).toEqual(once);
  expect(source.uniform([]).item()).toBe(once.noise);
  expect(await evaluate(smallNetwork(), clouds(), { metrics: { noise } })).not.toEqual(once);
});
