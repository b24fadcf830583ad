// Where work runs: names of devices, the one that is current, and what this machine has.
import { describe } from "./describe.js";
import { TslipError } from "./errors.js";
import {
  type Arithmetic,
  type Attributes,
  checkGpu,
  type Gpu,
  gpuArithmetic,
  gpus,
  type MeasuredError,
  machine,
  opAccuracy,
} from "./native.js";
import { AsyncVariable, totalMemory } from "./node/index.js";
import { choice, readOptions } from "./options.js";

/**
 * Where work is to run. `gpu` is `gpu:0`, unless a {@link PowerPreference} says otherwise. `auto` is the CPU, but in `fit`
 * whatever is expected to be faster, software GPUs left out.
 *
 * GPUs have their numbers from when the process first looks for them, the fastest kind first, and keep them: one that appears
 * later gets the next number, and the number of one that is gone is an error, never another GPU. In another process, or
 * after a change of drivers, a number may mean another GPU.
 */
export type Device = "auto" | "cpu" | "gpu" | `gpu:${number}`;

/**
 * Which GPUs the names `gpu` and `auto` prefer: "high-performance" discrete ones before integrated ones, "low-power" the other
 * way round. Numbers do not depend on it.
 */
export type PowerPreference = "low-power" | "high-performance";

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
  /**
   * Bytes that tensors may take. On a GPU they lie in one array, so that it is the largest which a kernel can reach; how much
   * memory it has, and how much of that is free, drivers do not tell. For the CPU the memory of the machine.
   */
  readonly memory: number;
  /** What a GPU allows at most; the CPU has no such limits. */
  readonly limits: DeviceLimits | undefined;
  /** Whether `profile` can tell the time of each kernel. */
  readonly timestamps: boolean;
  /** What bounds of rounding rest on: the result of a self-test. */
  readonly arithmetic: Arithmetic | undefined;
  /** Why it cannot be used, where it cannot. */
  readonly error: string | undefined;
}

/** Limits of a GPU. */
export interface DeviceLimits {
  /** Bytes of a buffer. */
  readonly bufferBytes: number;
  /** Bytes of a buffer that one kernel can reach. */
  readonly bindingBytes: number;
  /** Bytes of memory that the invocations of a workgroup share. */
  readonly workgroupBytes: number;
  /** Invocations of a workgroup. */
  readonly workgroupInvocations: number;
}

/** Kinds of GPUs in the order in which a preference takes them. */
const ORDERS: Readonly<Record<PowerPreference, readonly string[]>> = {
  "high-performance": ["discrete", "integrated", "virtual", "other", "software"],
  "low-power": ["integrated", "discrete", "virtual", "other", "software"],
};

const DEVICE_OPTIONS = { powerPreference: choice(["low-power", "high-performance"], "high-performance") };

/** A name of which nothing is left open but what `fit` does. */
type Named = "auto" | ChosenDevice;

let preferred: Named = "auto";
let preference: PowerPreference = "high-performance";
/** The number of the GPU that the name "gpu" means. */
let first = 0;
const scope = new AsyncVariable<Named>();

/** The ops that are the functions which a self-test measures. */
const MEASURED: readonly (readonly [MeasuredError, op: string])[] = [
  ["divisionUlps", "div"],
  ["sqrtUlps", "sqrt"],
  ["expUlps", "exp"],
  ["logUlps", "log"],
  ["tanhUlps", "tanh"],
  ["sigmoidUlps", "sigmoid"],
  ["atanhUlps", "atanh"],
  ["powUlps", "pow"],
];

/**
 * The CPU computes as IEEE 754 says, and flushes subnormal numbers. The errors of functions are what the ops declare, which their
 * kernels are tested to keep within and `rounding()` of a layer counts.
 */
function cpuArithmetic(): Arithmetic {
  const errors = MEASURED.map(([field, op]) => {
    const accuracy = opAccuracy(op, {});
    return [field, accuracy.kind === "function" ? accuracy.ulps : Number.POSITIVE_INFINITY];
  });
  const known = { exact: true, ordered: true, residuals: true, fused: true, subnormals: false, nan: true };
  return { ...known, ...(Object.fromEntries(errors) as Record<MeasuredError, number>) };
}

/**
 * The devices of this machine: the CPU, then its GPUs by their numbers. Each GPU is opened and its arithmetic
 * tested, on the caller's time where nothing has opened it yet; one that cannot be opened is listed with the reason.
 */
export function devices(): DeviceInfo[] {
  const { threads, simd } = machine();
  const cpu: DeviceInfo = {
    device: "cpu",
    name: `${threads} threads`,
    backend: "cpu",
    driver: simd,
    kind: "cpu",
    memory: totalMemory(),
    limits: undefined,
    timestamps: true,
    arithmetic: cpuArithmetic(),
    error: undefined,
  };
  const info = (gpu: Gpu, index: number): DeviceInfo => ({ device: `gpu:${index}`, ...gpu });
  return [cpu, ...gpus(true).map(info)];
}

/**
 * The device used where none is named. `powerPreference`, by default "high-performance", says which GPU the names `gpu` and
 * `auto` mean from now on, here and wherever else they are given. A GPU is opened by the first work on it, which fails where that
 * does. Throws `UNKNOWN_DEVICE` for names and GPUs that do not exist, `INVALID_ARGUMENT` for preferences that do not, `UNSUPPORTED`
 * for GPUs that cannot do what is needed; then all stays as it was.
 */
export function setDefaultDevice(device: Device, options: { powerPreference?: PowerPreference } = {}): void {
  const { powerPreference } = readOptions("setDefaultDevice", DEVICE_OPTIONS, options);
  // The first number is of the fastest kind; nothing has to be looked for.
  const kinds = powerPreference === "low-power" ? gpus(false).map(({ kind }) => kind) : [];
  const [gpu = 0] = byPreference(kinds, powerPreference);
  preferred = named(device, gpu);
  [preference, first] = [powerPreference, gpu];
}

/** Numbers of GPUs of the given kinds in the order in which a preference takes them. */
export function byPreference(kinds: readonly string[], powerPreference: PowerPreference): number[] {
  const rank = (number: number): number => ORDERS[powerPreference].indexOf(kinds[number] ?? "other");
  return Array.from(kinds.keys()).sort((a, b) => rank(a) - rank(b) || a - b);
}

/** What `setDefaultDevice` was last given as `powerPreference`. */
export function currentPowerPreference(): PowerPreference {
  return preference;
}

/** Runs `body`, and all that it awaits, on a device: what it traces, compiles and computes. Throws as {@link setDefaultDevice}. */
export function onDevice<T>(device: Device | undefined, body: () => T): T {
  if (typeof body !== "function") {
    throw new TslipError("INVALID_ARGUMENT", `onDevice takes a device, then a function; given ${describe(body)}`);
  }
  return device === undefined ? body() : scope.run(named(device, first), body);
}

/** Runs `body`, and all that it awaits, where work begun now would run, whatever becomes the default meanwhile. */
export function onCurrentDevice<T>(body: () => T): T {
  return scope.run(scope.get() ?? preferred, body);
}

/** The device on which work begun now will run. */
export function currentDevice(): ChosenDevice {
  const device = scope.get() ?? preferred;
  return device === "auto" ? "cpu" : device;
}

/** A result that is off by more has no digit in common with what it should be. */
const LARGEST_FACTOR = 2 ** 24;

/** The ops by which a layer computes, node by node. */
export type Ops = readonly { readonly op: string; readonly attributes: Attributes }[];

/** What graphs are made of beside ops. */
const LEAVES: ReadonlySet<string> = new Set(["input", "state", "constant"]);

/**
 * How often each rounding of a layer that computes with given ops counts on a device: once on the CPU, on a GPU as
 * {@link factorOn} says. Rejects with what opening the GPU throws.
 */
export async function roundingFactors(device: ChosenDevice): Promise<(ops: Ops) => number> {
  if (device === "cpu") return () => 1;
  const info = { name: device, arithmetic: await gpuArithmetic(numberOf(device)) };
  return (ops) => factorOn(info, ops);
}

/**
 * By how much the worst of these ops is less exact on a GPU, by its self-test, than the op declares for the CPU; at least 1.
 * Throws `UNSUPPORTED` where nothing is known of rounding: where sums and products are not the nearest floats or not in order, NaN
 * counts as a number, or an op declares nothing.
 */
export function factorOn({ name, arithmetic }: Pick<DeviceInfo, "name" | "arithmetic">, ops: Ops): number {
  const refused = (why: string): TslipError =>
    new TslipError("UNSUPPORTED", `${name} ${why}, so no margin it computes can be certified; certify on device "cpu"`);
  if (arithmetic?.exact !== true) throw refused("does not round sums and products to the nearest float");
  if (!arithmetic.ordered) throw refused("does not add in the order that is asked for");
  if (!arithmetic.nan) throw refused("does not tell NaN and infinity from numbers");
  let factor = 1;
  for (const { op, attributes } of ops) {
    if (LEAVES.has(op)) continue;
    const accuracy = opAccuracy(op, attributes);
    if (accuracy.kind === "unknown") throw refused(`would compute ${op}, of whose rounding nothing is known`);
    if (accuracy.kind !== "function") continue;
    factor = Math.max(factor, Math.ceil(arithmetic[accuracy.measured] / accuracy.ulps));
  }
  if (factor > LARGEST_FACTOR) throw refused("has quotients, roots or functions with no right digit");
  return factor;
}

/** Whether `fit` may choose where to train: `device`, or else what is said around it, is "auto". */
export function isFree(device: Device | undefined): boolean {
  return (device ?? scope.get() ?? preferred) === "auto";
}

/** The device that a name means where "gpu" is number `gpu`; it exists. */
function named(device: Device, gpu: number): Named {
  const name: unknown = device;
  if (name === "auto" || name === "cpu") return name;
  if (typeof name !== "string" || !/^gpu(:(0|[1-9]\d{0,8}))?$/.test(name)) {
    throw new TslipError(
      "UNKNOWN_DEVICE",
      `there is no device ${describe(name)}; expected "auto", "cpu", "gpu" or "gpu:N"`,
    );
  }
  const chosen: ChosenDevice = `gpu:${name === "gpu" ? gpu : numberOf(name)}`;
  if (!checked.has(chosen)) {
    checkGpu(numberOf(chosen));
    checked.add(chosen);
  }
  return chosen;
}

/** N of "gpu:N". */
function numberOf(name: string): number {
  return Number(name.slice("gpu:".length));
}

/** GPUs that are known to be there. */
const checked = new Set<ChosenDevice>();
