// From torchlip's option names to tslip's, and tslip's classes by name.
import * as tslip from "tslip";
import type { Config } from "./case.js";

/** An exported class of tslip, if there is one of that name. */
export function exportedClass(name: string): (new (...args: unknown[]) => object) | undefined {
  const found = Object.entries(tslip).find(([key]) => key === name)?.[1];
  return typeof found === "function" ? (found as unknown as new (...args: unknown[]) => object) : undefined;
}

/** Options in camelCase without those of `except`. */
export function camelOptions(config: Config, except: readonly string[]): Record<string, unknown> {
  const names: Record<string, string> = { T_max: "tMax", eta_min: "etaMin" };
  const camel = (key: string): string =>
    names[key] ?? key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(
    Object.entries(config)
      .filter(([key]) => !except.includes(key))
      .map(([key, v]) => [camel(key), v]),
  );
}
