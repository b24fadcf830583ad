// Times a training step, inference or an attack of any network, and counts its floating-point operations and, on a GPU, bytes.
import {
  Adam,
  type Dataset,
  fromArrays,
  grad,
  L2CarliniWagnerAttack,
  type Module,
  type Projection,
  rand,
  type Tensor,
  tensor,
} from "tslip";
import { currentDevice } from "#tslip/device.js";
import { engine, gpuCounters } from "#tslip/native.js";
import { Program } from "#tslip/tensor/compile.js";
import { Pass } from "#tslip/train/pass.js";
import { hkr, type Network } from "./networks.js";
import { type Repetitions, timed, timedSync } from "./timing.js";

/** What a work took. */
export interface Measured {
  /** Milliseconds of a step or a call, one for each repetition. */
  times: number[];
  /** Floating-point operations of one, in convolutions and matrix products. */
  flops: number;
  /** On a GPU, bytes that its kernels move in one: each reads its operands and writes its results once. */
  bytes?: number;
}

/** A training step and how often it is timed. */
export interface TrainingOptions extends Repetitions {
  batch: number;
  /** Steps of each native call; `fit` has those of an epoch. */
  steps: number;
  /** What keeps the constant of ordinary layers. */
  projection?: Projection;
}

/** Whole training steps: effective weights, forward and backward pass of the HKR loss, Adam, projection. */
export async function training(model: Module, data: Dataset, options: TrainingOptions): Promise<Measured> {
  const { batch, steps, projection } = options;
  await projection?.begin(model);
  const step = { batchSize: batch, loss: hkr(), optimizer: new Adam({ lr: 1e-4 }), projection };
  const pass = Pass.training(model.train(), data, step);
  const whole = Math.floor(data.length / batch) - steps;
  let first = 0;
  const call = async (): Promise<void> => {
    await pass.run({ first, most: steps });
    first = first + steps > whole ? 0 : first + steps;
  };
  return { ...(await counted(call, timed, options, steps)), flops: productFlops(pass.plans[0] ?? 0) };
}

/** `predict` of an exported network. */
export async function inference(model: Module, images: Tensor, options: Repetitions): Promise<Measured> {
  const call = (): unknown => model.predict(images);
  return { ...(await counted(call, timed, options)), flops: inferenceFlops(model, images) };
}

/** `predictSync` of an exported network. */
export async function inferenceSync(model: Module, images: Tensor, options: Repetitions): Promise<Measured> {
  const call = (): unknown => model.predictSync(images);
  return { ...(await counted(call, timedSync, options)), flops: inferenceFlops(model, images) };
}

const SEARCHES = 2;
const ATTACK_STEPS = 300;

/** One step of the L2 attack of Carlini and Wagner on the classes that the network gives. */
export async function attackStep(model: Module, images: Tensor, options: Repetitions): Promise<Measured> {
  const labels = await model.classify(images);
  const attack = new L2CarliniWagnerAttack({ binarySearchSteps: SEARCHES, steps: ATTACK_STEPS, abortEarly: false });
  const call = (): unknown => attack.run(model, images, labels, { bounds: [0, 1] });
  return { ...(await counted(call, timed, options, SEARCHES * ATTACK_STEPS)), flops: attackFlops(model, images) };
}

/** Times of the steps of a call, and what a step moves on the current device if it is a GPU. */
async function counted(
  call: () => unknown,
  time: typeof timed | typeof timedSync,
  options: Repetitions,
  steps = 1,
): Promise<Pick<Measured, "times" | "bytes">> {
  let calls = 0;
  const before = bytesMoved();
  const ofCalls = await time(() => {
    calls += 1;
    return call();
  }, options);
  const after = bytesMoved();
  const times = ofCalls.map((ms) => ms / steps);
  return before === undefined || after === undefined ? { times } : { times, bytes: (after - before) / (steps * calls) };
}

function bytesMoved(): number | undefined {
  const device = currentDevice();
  return device === "cpu" ? undefined : gpuCounters(Number(device.slice("gpu:".length))).bytesMoved;
}

/** Random pixels and every class in turn: HKR needs some samples of each. */
export function randomData({ sample }: Network, length: number): Dataset {
  const size = sample.reduce((product, extent) => product * extent, length);
  const pixels = Uint8Array.from(rand([size], { seed: 1 }).dataSync(), (value) => 255 * value);
  const labels = Int32Array.from({ length }, (_, i) => i % 10);
  return fromArrays(pixels, [length, ...sample], labels);
}

/** The images of {@link randomData} as a model takes them. */
export function randomImages(network: Network, batch: number): Tensor {
  const { imagesRaw } = randomData(network, batch);
  return tensor(
    Float32Array.from(imagesRaw, (value) => value / 255),
    [batch, ...network.sample],
  );
}

function inferenceFlops(model: Module, images: Tensor): number {
  const { shape, dtype } = images;
  return productFlops(
    Program.record((x) => model.evaluating(() => model.forward(x)), [{ shape, dtype, batched: true }]).plan,
  );
}

/** Those of the network and of its gradient by the image, with whatever loss. */
function attackFlops(model: Module, { shape, dtype }: Tensor): number {
  const gradient = (x: Tensor): Tensor => grad(model.forward(x).sum(), [x])[0];
  return productFlops(
    Program.record((x) => model.evaluating(() => gradient(x)), [{ shape, dtype, batched: true }]).plan,
  );
}

/**
 * Operations of convolutions and matrix products over samples. Those of elementwise ops, of orthonormalization (which stops when
 * it has converged) and of the optimizer are left out.
 */
function productFlops(plan: number): number {
  const counts = Object.entries(engine().flops(plan));
  return counts.filter(([op]) => op === "matmul" || op.startsWith("conv2d")).reduce((sum, [, count]) => sum + count, 0);
}
