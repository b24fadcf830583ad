// Versions of what a result depends on.
import { version } from "../native.js";

/** Versions of tslip's native engine and of Node, and the platform: what a figure should be quoted with. */
export function versions(): { tslip: string; node: string; platform: string } {
  return { tslip: version(), node: process.version, platform: `${process.platform}-${process.arch}` };
}
