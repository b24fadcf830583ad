// "auto": the device on which training is expected to be faster, decided once a training.
import { byPreference, type ChosenDevice, currentPowerPreference, onDevice, type PowerPreference } from "../device.js";
import { TslipError } from "../errors.js";
import { engine, type Gpu, gpus, multiplyAddPeak } from "../native.js";
import { assign, rand, state } from "../tensor/index.js";
import { loop } from "./loop.js";
import type { Pass } from "./pass.js";

/** What of the peak of its multiply-adds the CPU reaches in a step. */
const CPU_SHARE = 0.6;
/** Seconds for which a step on a GPU waits for its many small kernels, whatever its size. */
const GPU_STEP_SECONDS = 1e-3;
/** Extent of the matrices whose products say how fast a GPU is, and how many are timed. */
const SIDE = 1024;
const PRODUCTS = 2;
/** What of a GPU's memory a training may need: between the ranges that it takes there are gaps. */
const ROOM = 0.9;

/** A device, and in words why it was chosen; without them where there was nothing to choose from. */
export interface Choice {
  readonly device: ChosenDevice;
  readonly reason: string | undefined;
}

/** What is known of a step on a GPU: the seconds it is expected to take, or why it cannot be run there. */
export interface Estimate {
  readonly device: ChosenDevice;
  readonly name: string;
  readonly step: number | string;
}

/** What is known of GPUs, or being measured. */
const rates = new Map<ChosenDevice, Promise<number>>();

/**
 * The device for a training of these passes, which are recorded for each device that comes into question; the first step of the first
 * one counts. A GPU of hardware is taken where it has the memory and the step's operations, at the rate of a product of matrices,
 * take less time than on the CPU. An error on the way to that is a reason for the CPU; software GPUs never are faster.
 */
export async function fasterDevice(passes: () => readonly Pass[]): Promise<Choice> {
  const found = gpus(false);
  const [some] = found;
  if (some === undefined) return { device: "cpu", reason: undefined };
  const preference = currentPowerPreference();
  const kinds = found.map(({ kind }) => kind);
  const hardware = byPreference(kinds, preference).filter((number) => kinds[number] !== "software");
  if (hardware.length === 0) return { device: "cpu", reason: `${some.name} is a GPU in software` };
  const flops = onDevice("cpu", () => flopsOf(passes()));
  // Lazily: a GPU that is not needed is not opened.
  async function* estimates(): AsyncGenerator<Estimate> {
    for (const number of hardware) {
      const gpu = found[number];
      if (gpu !== undefined) yield await estimated(`gpu:${number}`, gpu, flops, passes);
    }
  }
  return await best(flops / (multiplyAddPeak() * CPU_SHARE), estimates(), preference);
}

/**
 * The device with the shortest step: `onCpu` seconds on the CPU, on GPUs as estimated, in the order of the preference. Where
 * that is for low power, the first that is faster than the CPU.
 */
export async function best(
  onCpu: number,
  estimates: Iterable<Estimate> | AsyncIterable<Estimate>,
  preference: PowerPreference,
): Promise<Choice> {
  let fastest: { device: ChosenDevice; name: string; step: number } | undefined;
  const against: string[] = [];
  for await (const { device, name, step } of estimates) {
    if (typeof step === "string") against.push(`${name}: ${step}`);
    else if (step >= onCpu) against.push(`${name} is expected to be slower`);
    else if (step < (fastest?.step ?? Number.POSITIVE_INFINITY)) fastest = { device, name, step };
    if (fastest !== undefined && preference === "low-power") break;
  }
  if (fastest === undefined) return { device: "cpu", reason: against.join("; ") };
  return { device: fastest.device, reason: `${fastest.name} is expected to be faster than the CPU` };
}

async function estimated(
  device: ChosenDevice,
  { name, memory }: Gpu,
  flops: number,
  passes: () => readonly Pass[],
): Promise<Estimate> {
  try {
    const needed = onDevice(device, () => bytesOf(passes()));
    if (needed > ROOM * memory) {
      return { device, name, step: `training needs ${mebibytes(needed)} of its ${mebibytes(memory)}` };
    }
    return { device, name, step: flops / (await rateOf(device)) + GPU_STEP_SECONDS };
  } catch (error) {
    if (!(error instanceof TslipError)) throw error;
    return { device, name, step: error.message.replaceAll(/\s+/g, " ") };
  }
}

function flopsOf(passes: readonly Pass[]): number {
  const [plan] = passes.flatMap(({ plans }) => plans);
  if (plan === undefined) return 0;
  return Object.values(engine().flops(plan)).reduce((sum, count) => sum + count, 0);
}

/** Bytes that a training takes on the GPU for which it was recorded. */
function bytesOf(passes: readonly Pass[]): number {
  let [total, arena, states] = [0, 0, 0];
  for (const { sampleBytes } of passes) total += sampleBytes;
  for (const plan of passes.flatMap(({ plans }) => plans)) {
    const footprint = engine().footprint(plan);
    total += footprint.own;
    states = Math.max(states, footprint.states);
    // An arena that has to grow may leave a gap where it was.
    if (footprint.arena > arena) {
      arena = footprint.arena;
      total += arena;
    }
  }
  return total + states;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

/** Floating-point operations a second that a GPU reaches in products of matrices, measured when first asked for. */
export function rateOf(gpu: ChosenDevice): Promise<number> {
  const known = rates.get(gpu);
  if (known !== undefined) return known;
  const measured = onDevice(gpu, measuredRate);
  rates.set(gpu, measured);
  // Whoever waits is told; the next one tries again.
  measured.catch(() => rates.delete(gpu));
  return measured;
}

/** Floating-point operations a second of a product of matrices, the fastest of some. */
async function measuredRate(): Promise<number> {
  // Seeds of their own: what else is drawn is the same with a GPU and without.
  const factor = state(rand([SIDE, SIDE], { seed: 0 }).mul(2 / SIDE));
  const product = state(rand([SIDE, SIDE], { seed: 1 }));
  const multiply = (): void => assign(product, factor.matmul(product));
  // The first one compiles.
  await loop(multiply, { steps: 1 });
  let seconds = Number.POSITIVE_INFINITY;
  for (let i = 0; i < PRODUCTS; i++) {
    const started = performance.now();
    await loop(multiply, { steps: 1 });
    // Other jobs may have had their turns meanwhile.
    seconds = Math.min(seconds, (performance.now() - started) / 1000);
  }
  return (2 * SIDE ** 3) / seconds;
}
