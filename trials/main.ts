// npm run trials -- [--count N] [--seed N] [--device cpu] …: certificates of random tiny networks, tried to be beaten.
import { Command, InvalidArgumentError } from "commander";
import { createProgress, type Device, setDefaultDevice, TslipError } from "tslip";
import { oneOrMoreOf } from "../benches/command.js";
import { KINDS } from "./networks.js";
import { type Reproducible, run } from "./run.js";

const UNUSABLE_ARGUMENTS = 2;
const INTERRUPTED = 130;
/** Violations that are shown whole. */
const SHOWN = 5;
const NAMES = KINDS.map(({ name }) => name);

const whole = (text: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError("expected a whole number of at least 0");
};

interface Options {
  count: number;
  seed: number;
  from: number;
  only: string[];
  withoutRounding: boolean;
  device: Device;
}

const command = new Command("trials")
  .description(
    "Certifies images of random tiny networks and looks for perturbations within the radii that change the class, as this engine " +
      "computes it in float32 and in exact arithmetic. Ends with one line: N trials, N violations.",
  )
  .option("--count <number>", "trials, at least: pairs of a certified image and a direction", whole, 100_000)
  .option("--seed <number>", "of all that is drawn", whole, 0)
  .option("--from <network>", "number of the first network: where a run that was interrupted goes on", whole, 0)
  .option("--only <kinds>", `kinds of networks, separated by commas: ${NAMES.join(", ")}`, oneOrMoreOf(NAMES), NAMES)
  .option(
    "--without-rounding",
    "tries radii of formulas that take float32 for exact, which has to find violations",
    false,
  )
  .option("--device <name>", "where to run: auto, cpu, gpu or gpu:N", "auto")
  .allowExcessArguments(false)
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : UNUSABLE_ARGUMENTS));

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (!(error instanceof TslipError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = UNUSABLE_ARGUMENTS;
}

async function main({ device, ...asked }: Options): Promise<void> {
  setDefaultDevice(device);
  const interrupted = new AbortController();
  process.once("SIGINT", () => interrupted.abort());
  const progress = createProgress({ label: "trials", total: asked.count });
  const found: Reproducible[] = [];
  const outcome = await run({
    ...asked,
    signal: interrupted.signal,
    onProgress: ({ trials, violations, next }) => progress.update(trials, `${violations} violations, network ${next}`),
    onViolation: (one) => found.push(one),
  }).finally(() => progress.stop());
  const flags = `--seed ${asked.seed} --device ${device}${asked.withoutRounding ? " --without-rounding" : ""}`;
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  for (const [kind, { trials, violations, closest }] of Object.entries(outcome.kinds)) {
    print(
      `${kind}: ${trials} trials, ${violations} violations, another class at ${closest.toPrecision(8)} radii at the least`,
    );
  }
  for (const one of found.slice(0, SHOWN)) {
    print(
      `${one.kind}, network ${one.network}: ${one.computed} class ${one.found} instead of ${one.predicted} at ${one.distance}, within the ` +
        `radius ${one.radius} (${one.claim}); again: npm run trials -- ${flags} --from ${one.network} --count 1`,
    );
    print(JSON.stringify(one));
  }
  if (found.length > SHOWN) print(`and ${found.length - SHOWN} more like these`);
  print(`${outcome.networks} networks, ${outcome.refused} more refused`);
  if (interrupted.signal.aborted) {
    print(`interrupted: npm run trials -- ${flags} --from ${outcome.next} goes on`);
    process.exitCode = INTERRUPTED;
  } else if (outcome.violations > 0) process.exitCode = 1;
  print(`${outcome.trials} trials, ${outcome.violations} violations`);
}
