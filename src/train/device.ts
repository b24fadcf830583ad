// Names of devices, and which of them exist.
import { TslipError } from "../errors.js";

/** Where work runs. */
export type Device = "auto" | "cpu" | "gpu" | `gpu:${number}`;

let preferred: Device = "auto";

/** The device used where none is named. */
export function setDefaultDevice(device: Device): void {
  resolveDevice(device);
  preferred = device;
}

/** The device that work will run on. Throws `UNKNOWN_DEVICE` for other names, `UNSUPPORTED` for what is not built in. */
export function resolveDevice(device: Device = preferred): "cpu" {
  const name: string = device;
  if (name === "auto" || name === "cpu") return "cpu";
  if (/^gpu(:\d+)?$/.test(name)) {
    throw new TslipError("UNSUPPORTED", `device "${name}": this build runs on the CPU only; use "cpu" or "auto"`);
  }
  throw new TslipError("UNKNOWN_DEVICE", `there is no device "${name}"; expected "auto", "cpu", "gpu" or "gpu:N"`);
}
