// Training on a GPU on rows of labels and on numbers, beside the CPU's.
import { expect, it } from "vitest";
import {
  Adam,
  accuracy,
  binaryAccuracy,
  type Dataset,
  DDNAttack,
  evaluate,
  Flatten,
  fit,
  fromArrays,
  GroupSort2,
  HingeMulticlassLoss,
  HKRLoss,
  kr,
  Linear,
  type Loss,
  type Metric,
  MSELoss,
  manualSeed,
  meanAbsoluteError,
  multilabelAccuracy,
  onDevice,
  Sequential,
  SpectralLinear,
  type Targets,
  tensor,
} from "../../src/index.js";
import { describeGpu } from "./gpu.js";

const SAMPLES = 50;
const PIXELS = 12;
/** Nine steps of rounding, each amplified by the next: weights and figures are of size 1. */
const AFTER_NINE_STEPS = 1e-4;

const bright = (i: number, k: number): number => (i * 37 + k * 101 + (i % 7) * k * k) % 256;

function dataset(dtype: "u8" | "f32", targets: Targets): Dataset {
  const bytes = Uint8Array.from({ length: SAMPLES * PIXELS }, (_, at) => bright(Math.floor(at / PIXELS), at % PIXELS));
  const images = dtype === "u8" ? bytes : Float32Array.from(bytes, (byte) => byte / 255);
  return fromArrays(images, [SAMPLES, PIXELS], targets);
}

const of = <T>(target: (i: number) => T): T[] => Array.from({ length: SAMPLES }, (_, i) => target(i));
const kinds: [string, number, Targets, Loss, Metric][] = [
  ["signs", 1, of((i) => (bright(i, 0) > 127 ? 1 : -1)), new HKRLoss({ alpha: 10 }), binaryAccuracy()],
  ["signs, and their KR value", 1, of((i) => bright(i, 0) > 127), new HKRLoss({ alpha: 10 }), kr()],
  ["rows", 3, of((i) => [0, 1, 2].map((k) => bright(i, k) > 127)), new HingeMulticlassLoss(), multilabelAccuracy()],
  ["numbers", 2, of((i) => [bright(i, 0) / 255, bright(i, 1) / 255]), new MSELoss(), meanAbsoluteError()],
];

describeGpu("logits that are NaN", () => {
  const weight = (value: number): Linear =>
    new Linear(1, 2, { bias: false }, { weight: tensor([[value], [1]]), bias: undefined });

  it("tell no class on a GPU either", async () => {
    const model = weight(Number.NaN);
    await onDevice("gpu", async () => {
      await expect(model.classify(tensor([[1], [2]]))).rejects.toMatchObject({ code: "NON_FINITE" });
      await expect(new DDNAttack({ steps: 2 }).run(model, tensor([[1]]), [0])).rejects.toMatchObject({
        code: "NON_FINITE",
      });
      expect(await weight(2).classify(tensor([[1], [-1]]))).toEqual(Int32Array.of(0, 1));
      const images = Float32Array.of(1, -1);
      const classes = fromArrays(images, [2, 1], [0, 1]);
      expect(await evaluate(model, classes, { metrics: { acc: accuracy() } })).toEqual({ acc: 0 });
      // The second logits, 1 and -1, are right.
      const rows = fromArrays(
        images,
        [2, 1],
        tensor([
          [0, 1],
          [1, 0],
        ]),
      );
      expect(await evaluate(model, rows, { metrics: { acc: multilabelAccuracy() } })).toEqual({ acc: 0.5 });
    });
  });
});

describeGpu("training on a GPU, with a last batch that is smaller,", () => {
  it.each(kinds.flatMap((kind) => (["u8", "f32"] as const).map((dtype) => [...kind, dtype] as const)))(
    "on %s is as on the CPU (%i outputs)",
    async (_, outputs, targets, loss, metric, dtype) => {
      const [cpu, gpu] = await Promise.all(
        (["cpu", "gpu"] as const).map(async (device) => {
          manualSeed(2);
          const model = new Sequential([
            new Flatten(),
            new SpectralLinear(PIXELS, 8),
            new GroupSort2(),
            new SpectralLinear(8, outputs),
          ]);
          const data = dataset(dtype, targets);
          const options = {
            epochs: 3,
            batchSize: 20,
            optimizer: new Adam({ lr: 0.01 }),
            validation: data,
            verbose: false,
          };
          const { epochs } = await fit(model, data, { ...options, loss, metrics: { metric }, device });
          const figures = epochs.flatMap((e) => [e.loss, e.metric, e.val_loss ?? 0, e.val_metric ?? 0]);
          return [...figures, ...model.parameters().flatMap((p) => Array.from(p.dataSync()))];
        }),
      );
      expect(cpu?.length).toBe(gpu?.length);
      for (const [i, value] of (cpu ?? []).entries()) {
        expect(Math.abs(value - (gpu?.[i] ?? Number.NaN))).toBeLessThan(AFTER_NINE_STEPS);
      }
    },
  );
});
