// npm run conformance -- DIR [DIR…] [--device cpu]: compares tslip with the answers of reference implementations.
import { Command } from "commander";
import { type Device, setDefaultDevice, TslipError } from "tslip";
import { MalformedFile } from "./case.js";
import { runFolders, Unusable } from "./run.js";

const UNUSABLE_ARGUMENTS = 2;

const command = new Command("conformance")
  .description("Runs every vector file of the folders and names what fails.")
  .argument("<dir...>", "folders of vector files")
  .option("--device <name>", "where to run: auto, cpu, gpu or gpu:N", "auto")
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : UNUSABLE_ARGUMENTS));

try {
  command.parse();
  setDefaultDevice(command.opts<{ device: Device }>().device);
  const { failed } = await runFolders(command.args, (line) => process.stdout.write(`${line}\n`));
  process.exitCode = failed === 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof Unusable || error instanceof MalformedFile || error instanceof TslipError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = UNUSABLE_ARGUMENTS;
}
