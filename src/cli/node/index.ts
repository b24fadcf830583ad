// The commands of tslip, one file each.
import { TslipError } from "../../errors.js";
import { type Command, type Streams, UsageError } from "./command.js";
import { verify } from "./verify.js";

const COMMANDS: Readonly<Record<string, Command>> = { verify };

/** The exit code of a mistake in the call, or of files that cannot be read or written. */
const FAILED = 2;

/** Runs the command that is named first. Resolves to the exit code of the process. */
export async function run([name, ...given]: readonly string[], to: Streams): Promise<number> {
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const asked = name === "--help" || name === "-h" || name === "help";
    (asked ? to.out : to.error).write(
      `${name === undefined || asked ? "" : `there is no command ${name}\n\n`}${overview()}\n`,
    );
    return asked ? 0 : FAILED;
  }
  if (given.includes("--help") || given.includes("-h")) {
    to.out.write(`${command.usage}\n`);
    return 0;
  }
  try {
    return await command.run(given, to);
  } catch (error) {
    if (error instanceof UsageError) to.error.write(`${error.message}\n\n${command.usage}\n`);
    else if (error instanceof TslipError) to.error.write(`${error.message}\n`);
    else throw error;
    return FAILED;
  }
}

function overview(): string {
  const names = Object.keys(COMMANDS);
  const longest = Math.max(...names.map((name) => name.length));
  const lines = names.map((name) => `  ${name.padEnd(longest)}  ${COMMANDS[name]?.summary}`);
  return ["tslip COMMAND …", "", ...lines, "", "tslip COMMAND --help says more."].join("\n");
}
