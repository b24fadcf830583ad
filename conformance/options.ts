// From the names of torchlip, PyTorch and foolbox to tslip's: classes, options, sizes that come first.
import * as tslip from "tslip";
import type { Case, Config } from "./case.js";
import type { Answer } from "./compare.js";

/** Arguments that tslip takes by position, before the options. */
const POSITIONAL = [
  "in_features",
  "out_features",
  "in_channels",
  "out_channels",
  "group_size",
  "channels",
  "scalar",
  "num_features",
];
/** Names whose camel case is another than the rule gives. */
const OTHER_NAMES: Readonly<Record<string, string>> = { T_max: "tMax" };

/** A class of tslip by its name, or nothing where there is none. */
export function exportedClass<T extends object>(name: string): (new (...args: unknown[]) => T) | undefined {
  const found = Object.entries(tslip).find(([key]) => key === name)?.[1];
  return typeof found === "function" ? (found as unknown as new (...args: unknown[]) => T) : undefined;
}

/** Constructor arguments for a configuration: sizes in front, then the options in camel case without those of `except`. */
export function argumentsOf(config: Config, except: readonly string[] = []): unknown[] {
  const sizes = POSITIONAL.flatMap((key) => (config[key] === undefined ? [] : [config[key]]));
  return [...sizes, camelOptions(config, [...POSITIONAL, ...except])];
}

/** Options in camel case without those of `except`. */
export function camelOptions(config: Config, except: readonly string[]): Record<string, unknown> {
  const camel = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(
    Object.entries(config)
      .filter(([key]) => !except.includes(key))
      .map(([key, value]) => [OTHER_NAMES[key] ?? camel(key), value]),
  );
}

/** The class that a case is about: its configuration's, or else the first word of its name. */
export function kindOf(c: Case, key: string): string {
  return String(c.config[key] ?? c.name.replace(/_.*/, ""));
}

/** The answer for a class that this runner cannot compare: skipped while tslip lacks it, a failure once it exists. */
export function notCovered(kind: string): Answer {
  if (exportedClass(kind) === undefined) return { skipped: kind };
  return { outputs: {}, failures: [`${kind} exists, but its cases are not compared yet`] };
}
