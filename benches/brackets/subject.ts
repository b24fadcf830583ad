// What the parts of the command share: the network that they try, and what they say of it.
import { type Dataset, type Module, type Sequential, TslipError } from "tslip";

/** A network, and what it is tried on. */
export interface Subject {
  readonly name: string;
  /** Trained; the network is what it exports. */
  readonly model: Sequential;
  readonly network: Module;
  readonly test: Dataset;
  readonly signal: AbortSignal;
}

/** Throws `VIOLATION` where an image, by this name, was fooled at a distance below its radius; a distance below 0 is none. */
export function refuseBeaten(image: string, radius: number, distance: number): void {
  if (distance < 0 || distance >= radius) return;
  throw new TslipError(
    "VIOLATION",
    `the class of ${image} changes at a distance of ${distance}, below its certified radius of ${radius}: a certificate is wrong; please ` +
      "report this with the command that was run",
  );
}
