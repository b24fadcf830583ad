// Refuses a Node.js that is too old, as the first thing that an import of tslip evaluates: others would fail somewhere, some day.
import { TslipError } from "../errors.js";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

// As package.json's `engines` says.
if (major < 20 || (major === 20 && minor < 19) || major === 21 || (major === 22 && minor < 13)) {
  throw new TslipError(
    "UNSUPPORTED",
    `tslip needs Node.js 20.19 or a later 20, or 22.13 or later; this is ${process.versions.node}: install a newer one ` +
      "(https://nodejs.org)",
  );
}
