// "auto": the device on which training is expected to be faster.
import { type ChosenDevice, currentDevice, onDevice } from "../device.js";
import { engine, gpus, multiplyAddPeak } from "../native.js";
import { evaluateSync } from "../tensor/evaluate.js";
import { rand } from "../tensor/index.js";

/** What of the peak of its multiply-adds the CPU reaches in a step. */
const CPU_SHARE = 0.6;
/** Seconds for which a step on a GPU waits for its many small kernels, whatever its size. */
const GPU_STEP_SECONDS = 1e-3;
/** Extent of the matrices whose product says how fast a GPU is. */
const SIDE = 1024;

/** The first GPU that is not software; -1 where there is none. */
let hardware: number | undefined;

/** Floating-point operations a second of a GPU, measured once. */
const rates = new Map<ChosenDevice, number>();

/**
 * The device for steps of a plan made for the CPU. A GPU that is software is never expected to be faster; one of hardware is
 * where the operations of the step, at the rate of a product of matrices, take less time than on the CPU.
 */
export function fasterDevice(plan: () => number): ChosenDevice {
  hardware ??= gpus(false).findIndex(({ kind }) => kind !== "software");
  const at = hardware;
  if (at < 0) return currentDevice();
  const flops = Object.values(engine().flops(onDevice("cpu", plan))).reduce((sum, count) => sum + count, 0);
  const gpu: ChosenDevice = `gpu:${at}`;
  const onGpu = flops / rateOf(gpu) + GPU_STEP_SECONDS;
  return onGpu < flops / (multiplyAddPeak() * CPU_SHARE) ? gpu : "cpu";
}

function rateOf(gpu: ChosenDevice): number {
  const known = rates.get(gpu);
  if (known !== undefined) return known;
  const seconds = onDevice(gpu, () => {
    const a = rand([SIDE, SIDE]);
    const product = a.matmul(a).sum();
    // The first run compiles.
    evaluateSync([product]);
    const started = performance.now();
    evaluateSync([product]);
    return (performance.now() - started) / 1000;
  });
  const rate = (2 * SIDE ** 3) / seconds;
  rates.set(gpu, rate);
  return rate;
}
