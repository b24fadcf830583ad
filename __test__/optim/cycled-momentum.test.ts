// Schedules that cycle the momentum: as in PyTorch, of SGD also where it was 0, and of Adam the decay of the first moment.
import {
  Adam,
  AdamW,
  compile,
  fit,
  fromArrays,
  Linear,
  MSELoss,
  manualSeed,
  OneCycleLR,
  Optimizer,
  Parameter,
  type Schedule,
  Sequential,
  SGD,
  type Tensor,
  TslipError,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";

const STEPS = 10;
const schedule = (cycleMomentum = true): OneCycleLR =>
  new OneCycleLR({ maxLr: 0.1, totalSteps: STEPS, pctStart: 0.4, cycleMomentum });
/** Float32 roundings of ten steps; 1 - beta^t of a float32 beta near 0.9 loses a digit. */
const FLOAT32_STEPS = 2e-5;
const START = [0.5, -1.25, 2];
const gradientAt = (t: number): number[] => START.map((_, k) => Math.sin(1 + 3 * t + 7 * k));

/** The parameter after each step whose rate and momentum are set as `fit` sets them. */
function follow(optimizer: Optimizer): number[][] {
  const { rate, momentumState: momentum } = optimizer;
  const parameter = new Parameter(tensor(START));
  const step = compile((g: Tensor) => {
    optimizer.update([parameter], [g]);
    return parameter.mul(1);
  });
  return Array.from({ length: STEPS }, (_, t) => {
    const now = schedule().at(t);
    rate.assign(tensor(Float32Array.of(now.lr), []));
    momentum?.assign(tensor(Float32Array.of(now.momentum ?? Number.NaN), []));
    return Array.from(step.sync(tensor(gradientAt(t))).data());
  });
}

type Update = (p: number, g: number, t: number, lr: number, momentum: number) => number;

function expectFollows(rows: number[][], rule: () => Update): void {
  START.forEach((start, k) => {
    const update = rule();
    let p = start;
    rows.forEach((row, t) => {
      const { lr, momentum = Number.NaN } = schedule().at(t);
      p = update(p, gradientAt(t)[k] ?? Number.NaN, t + 1, lr, momentum);
      expect(Math.abs((row[k] ?? Number.NaN) - p)).toBeLessThan(FLOAT32_STEPS);
    });
  });
}

const sgd = (): Update => {
  let buffer = 0;
  return (p, g, _t, lr, momentum) => {
    buffer = momentum * buffer + g;
    return p - lr * buffer;
  };
};

const adam = (decay: number) => (): Update => {
  let [m, v] = [0, 0];
  return (p, g, t, lr, beta1) => {
    m = beta1 * m + (1 - beta1) * g;
    v = 0.999 * v + 0.001 * g * g;
    const kept = p - lr * decay * p;
    return kept - (lr * (m / (1 - beta1 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8);
  };
};

/** A regression of two outputs by integer labels is beside the point: any loss that moves the weights will do. */
class Spread extends MSELoss {
  override forward(output: Tensor): Tensor {
    return output.square().mean();
  }
}

async function trained(optimizer: Optimizer, by: Schedule): Promise<number[]> {
  manualSeed(3);
  const model = new Sequential([new Linear(2, 2)], { constrained: false });
  const images = Float32Array.from({ length: 2 * STEPS }, (_, i) => Math.cos(i));
  const data = fromArrays(
    images,
    [STEPS, 2],
    Array.from({ length: STEPS }, (_, i) => i % 2),
  );
  await fit(model, data, { epochs: 1, batchSize: 1, loss: new Spread(), optimizer, schedule: by, verbose: false });
  return model.parameters().flatMap((p) => Array.from(p.dataSync()));
}

describe("a cycled momentum", () => {
  it("is that of SGD", () => {
    expectFollows(follow(new SGD({ lr: 0.1, momentum: 0.9 })), sgd);
  });

  it("is that of an SGD that had none, which gets one", () => {
    expectFollows(follow(new SGD({ lr: 0.1 })), sgd);
  });

  it("is the decay of Adam's first moment, bias correction included", () => {
    expectFollows(follow(new Adam()), adam(0));
  });

  it("is that of AdamW too", () => {
    expectFollows(follow(new AdamW({ weightDecay: 0.1 })), adam(0.1));
  });

  it.each([
    ["SGD with momentum", () => new SGD({ lr: 0.1, momentum: 0.5 })],
    ["SGD without", () => new SGD({ lr: 0.1 })],
    ["Adam", () => new Adam()],
  ])("reaches %s through fit, unless cycleMomentum is false", async (_, make) => {
    expect(await trained(make(), schedule())).not.toEqual(await trained(make(), schedule(false)));
  });

  it("makes a compiled step anew when it is asked for after the step was compiled", () => {
    const optimizer = new SGD({ lr: 1 });
    const parameter = new Parameter(tensor([0]));
    const step = compile((g: Tensor) => {
      optimizer.update([parameter], [g]);
      return parameter.mul(1);
    });
    expect(step.sync(tensor([1])).item()).toBe(-1);
    optimizer.momentumState.assign(tensor(Float32Array.of(0.5), []));
    expect(step.sync(tensor([1])).item()).toBe(-2);
    expect(step.sync(tensor([1])).item()).toBe(-3.5);
  });

  it("is refused for an optimizer that has none, before a step is taken", async () => {
    class Plain extends Optimizer {
      protected override updateOne(parameter: Parameter, gradient: Tensor): void {
        parameter.assign(parameter.sub(gradient.mul(this.rate)));
      }
    }
    const failed = trained(new Plain(0.1), schedule());
    await expect(failed).rejects.toThrow("cycles a momentum, which Plain does not have");
    await expect(failed).rejects.toBeInstanceOf(TslipError);
    expect(await trained(new Plain(0.1), schedule(false))).toHaveLength(6);
  });
});
