// What training offers beside a plain step, on a GPU beside the CPU: augmentation, averages, limits, optimizers.
import { expect, it } from "vitest";
import {
  Adam,
  type Augmentation,
  assign,
  CrossEntropyLoss,
  compile,
  cutout,
  EMA,
  fit,
  fromArrays,
  GroupSort2,
  grad,
  Lookahead,
  Module,
  MonitorSingularValues,
  manualSeed,
  mixup,
  NAdam,
  onDevice,
  Parameter,
  randn,
  randomCrop,
  randomFlip,
  randomShift,
  Sequential,
  SGD,
  SpectralLinear,
  state,
  type Tensor,
  tensor,
  zeros,
} from "../../src/index.js";
import { describeGpu } from "./gpu.js";

/** Some steps of rounding; weights are of size 1. */
const AFTER_SOME_STEPS = 2e-4;
/** A mixture of numbers of size 1, by shares that are powers. */
const OF_SHARES = 1e-5;

const SHAPE = [40, 2, 6, 5];

/** Keeps what a step has seen. */
class Seen extends Module {
  readonly seen = state(zeros(SHAPE));
  readonly weight = new Parameter(tensor([1]));
  forward(x: Tensor): Tensor {
    assign(this.seen, x);
    return x.reshape([40, 60]).slice([], [40, 3]).mul(this.weight);
  }
}

async function seen(augment: Augmentation[], device: "cpu" | "gpu"): Promise<Float32Array> {
  const pixels = Float32Array.from({ length: 2400 }, (_, i) => 1 + i / 4096);
  const data = fromArrays(
    pixels,
    SHAPE,
    Array.from({ length: 40 }, (_, i) => i % 3),
  );
  const model = new Seen();
  const optimizer = new SGD({ lr: 1e-6 });
  await fit(model, data, {
    epochs: 2,
    batchSize: 40,
    loss: new CrossEntropyLoss(),
    optimizer,
    augment,
    device,
    verbose: false,
  });
  return (await model.seen.data()) as Float32Array;
}

describeGpu("training conveniences on a GPU", () => {
  it("augments images to the same bits as the CPU", async () => {
    const augment = [
      randomShift({ pixels: 2 }),
      randomFlip(),
      randomFlip({ axis: "vertical" }),
      randomCrop({ padding: 1, mode: "reflect" }),
      cutout({ size: 3 }),
    ];
    expect(await seen(augment, "gpu")).toEqual(await seen(augment, "cpu"));
  });

  it("mixes the same samples as the CPU", async () => {
    const [gpu, cpu] = [await seen([mixup({ alpha: 0.4 })], "gpu"), await seen([mixup({ alpha: 0.4 })], "cpu")];
    gpu.forEach((value, i) => expect(Math.abs(value - (cpu[i] ?? Number.NaN))).toBeLessThan(OF_SHARES));
  });

  it("goes back to slow weights that began anew where a parameter was given others, and there alone", async () => {
    const trained = async (device: "cpu" | "gpu") =>
      await onDevice(device, async () => {
        const parameter = new Parameter(randn([300, 70], { seed: 1 }));
        const optimizer = new Lookahead(new Adam({ lr: 0.03 }), { k: 3 });
        const step = compile(() => {
          const loss = parameter.square().sub(1).square().sum();
          optimizer.update([parameter], grad(loss, [parameter]));
          return loss;
        });
        const counts: number[] = [];
        for (let i = 0; i < 10; i++) {
          if (i === 5) parameter.assign(randn([300, 70], { seed: 2 }));
          await step();
          const [count] = optimizer
            .namedStates()
            .filter(([key]) => key.endsWith("0.steps") && !key.startsWith("inner"));
          counts.push(count?.[1].item() ?? Number.NaN);
        }
        return { counts, values: Array.from(parameter.dataSync()) };
      });
    const [cpu, gpu] = [await trained("cpu"), await trained("gpu")];
    expect(cpu.counts).toEqual([1, 2, 0, 1, 2, 1, 2, 0, 1, 2]);
    expect(gpu.counts).toEqual(cpu.counts);
    gpu.values.forEach((value, i) =>
      expect(Math.abs(value - (cpu.values[i] ?? Number.NaN))).toBeLessThan(AFTER_SOME_STEPS),
    );
  });

  it("trains with NAdam, Lookahead, a limit of gradients and averages as the CPU does", async () => {
    const data = fromArrays(
      Float32Array.from({ length: 20 * 8 }, (_, i) => Math.sin(i)),
      [20, 8],
      Array.from({ length: 20 }, (_, i) => i % 3),
    );
    const trained = async (device: "cpu" | "gpu") => {
      manualSeed(1);
      const model = new Sequential([new SpectralLinear(8, 8), new GroupSort2(), new SpectralLinear(8, 3)]);
      const [ema, monitor] = [new EMA({ decay: 0.5 }), new MonitorSingularValues({ verbose: false })];
      await fit(model, data, {
        epochs: 2,
        batchSize: 10,
        loss: new CrossEntropyLoss(),
        optimizer: new Lookahead(new NAdam({ lr: 0.01 }), { k: 3 }),
        gradientClip: { norm: 0.1 },
        callbacks: [ema, monitor],
        device,
        verbose: false,
      });
      const weights = () => model.parameters().flatMap((p) => Array.from(p.dataSync()));
      const means = await ema.with(model, weights);
      const values = monitor.history.flatMap(({ layers }) =>
        layers.flatMap(({ largest, smallest }) => [largest, smallest]),
      );
      return [...means, ...weights(), ...values];
    };
    const [cpu, gpu] = [await trained("cpu"), await trained("gpu")];
    expect(gpu).toHaveLength(cpu.length);
    gpu.forEach((value, i) => expect(Math.abs(value - (cpu[i] ?? Number.NaN))).toBeLessThan(AFTER_SOME_STEPS));
  });
});
