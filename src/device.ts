// Where work runs: names of devices, the one that is current, and what this machine has.
import { AsyncLocalStorage } from "node:async_hooks";
import { TslipError } from "./errors.js";
import { type Arithmetic, type Gpu, gpuCounters, gpus, machine } from "./native.js";

/** Where work is to run. `gpu` is `gpu:0`; `auto` is the CPU, but in `fit` whatever is expected to be faster. */
export type Device = "auto" | "cpu" | "gpu" | `gpu:${number}`;

/** A device that has been chosen. */
export type ChosenDevice = "cpu" | `gpu:${number}`;

/** A device of this machine, as {@link devices} lists it. */
export interface DeviceInfo {
  /** The name by which it is asked for. */
  readonly device: ChosenDevice;
  readonly name: string;
  /** "cpu", "vulkan", "metal" or "dx12". */
  readonly backend: string;
  /** Name and version of the driver; instructions in use for the CPU. */
  readonly driver: string;
  /** "cpu", or a GPU that is "discrete", "integrated", "virtual", "software" or "other". */
  readonly kind: string;
  /** Bytes that all tensors of a step may take together. */
  readonly memory: number;
  /** What bounds of rounding rest on: the result of a self-test. */
  readonly arithmetic: Arithmetic | undefined;
  /** Why it cannot be used, where it cannot. */
  readonly error: string | undefined;
}

let preferred: Device = "auto";
const scope = new AsyncLocalStorage<ChosenDevice>();

/** The CPU computes as IEEE 754 says, and flushes subnormal numbers. */
const CPU_ARITHMETIC: Arithmetic = {
  exact: true,
  fused: true,
  divisionUlps: 0.5,
  sqrtUlps: 0.5,
  subnormals: false,
  nan: true,
};

/**
 * The devices of this machine: the CPU, then its GPUs, the fastest kind first. Each GPU is opened and its arithmetic
 * tested; one that cannot be opened is listed with the reason.
 */
export function devices(): DeviceInfo[] {
  const { threads, simd } = machine();
  const cpu: DeviceInfo = {
    device: "cpu",
    name: `${threads} threads`,
    backend: "cpu",
    driver: simd,
    kind: "cpu",
    memory: Number.POSITIVE_INFINITY,
    arithmetic: CPU_ARITHMETIC,
    error: undefined,
  };
  const info = ({ name, backend, driver, kind, memory, arithmetic, error }: Gpu, index: number): DeviceInfo => ({
    device: `gpu:${index}`,
    name,
    backend,
    driver,
    kind,
    memory,
    arithmetic,
    error,
  });
  return [cpu, ...gpus(true).map(info)];
}

/**
 * The device used where none is named. Throws `UNKNOWN_DEVICE` for names and GPUs that do not exist, and what opening the GPU
 * throws.
 */
export function setDefaultDevice(device: Device): void {
  chosen(device);
  preferred = device;
}

/** Runs `body`, and all that it awaits, on a device: what it traces, compiles and computes. Throws as {@link setDefaultDevice}. */
export function onDevice<T>(device: Device | undefined, body: () => T): T {
  return device === undefined ? body() : scope.run(chosen(device), body);
}

/** The device on which work begun now will run. */
export function currentDevice(): ChosenDevice {
  return scope.getStore() ?? (preferred === "auto" || preferred === "cpu" ? "cpu" : chosen(preferred));
}

/**
 * How many correctly rounded operations the worst of the current device counts as: 1 on the CPU; on a GPU quotients and
 * roots may be less exact, by as much as its self-test has found. Throws `UNSUPPORTED` where sums and products are not the
 * nearest floats: nothing is known of rounding there.
 */
export function roundingFactor(): number {
  const device = currentDevice();
  const info = device === "cpu" ? undefined : devices().find((known) => known.device === device);
  if (info === undefined) return 1;
  const { exact = false, divisionUlps = 0, sqrtUlps = 0 } = info.arithmetic ?? {};
  if (!exact) {
    throw new TslipError(
      "UNSUPPORTED",
      `${info.name} does not round sums and products to the nearest float, so no margin it computes can be certified; ` +
        'certify on device "cpu"',
    );
  }
  // A rounding to the nearest is half a unit in the last place.
  return Math.max(1, Math.ceil(2 * Math.max(divisionUlps, sqrtUlps)));
}

/** Whether nobody has said where work is to run. */
export function isFree(device: Device | undefined): boolean {
  return (device ?? scope.getStore() ?? preferred) === "auto";
}

/** The device that a name means; it exists and can be opened. */
function chosen(device: Device): ChosenDevice {
  const name: string = device;
  if (name === "auto" || name === "cpu") return "cpu";
  const [, number = "0"] = /^gpu(?::(\d+))?$/.exec(name) ?? [];
  if (!/^gpu(:\d+)?$/.test(name)) {
    throw new TslipError("UNKNOWN_DEVICE", `there is no device "${name}"; expected "auto", "cpu", "gpu" or "gpu:N"`);
  }
  const chosenName: ChosenDevice = `gpu:${Number(number)}`;
  if (!opened.has(chosenName)) {
    // Asking for anything opens it.
    gpuCounters(Number(number));
    opened.add(chosenName);
  }
  return chosenName;
}

/** GPUs that have been opened in this process. */
const opened = new Set<ChosenDevice>();
