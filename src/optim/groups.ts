// Groups of parameters that are trained at rates, or with a weight decay, of their own.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { asGiven, isPlain, notNegative, type Option, optional, readOptions } from "../options.js";
import { Parameter } from "../tensor/index.js";

/** Parameters with settings of their own; what is left out is the optimizer's. */
export interface ParameterGroup {
  parameters: readonly Parameter[];
  /** Kept as a multiple of the optimizer's rate: whoever sets that, a schedule too, sets both. */
  lr?: number | undefined;
  weightDecay?: number | undefined;
}

/** What an optimizer knows of a parameter: how its rate is to that of the optimizer, and its weight decay. */
export interface GroupSettings {
  readonly multiple: number;
  readonly weightDecay: number;
}

const GROUP = {
  parameters: asGiven<readonly Parameter[]>(),
  lr: optional(notNegative()),
  weightDecay: optional(notNegative()),
};

/** A list of groups, in which no parameter stands twice; by default none. */
export const parameterGroups: Option<readonly ParameterGroup[]> = {
  read(name, given = []) {
    if (!Array.isArray(given) || !given.every(isPlain)) {
      throw invalid(`${name} must be a list of records { parameters, lr, weightDecay }; given ${describe(given)}`);
    }
    const seen = new Set<Parameter>();
    return Object.freeze(
      given.map((group, i) => {
        const read = readOptions(`${name}[${i}]`, GROUP, group);
        checkParameters(`${name}[${i}].parameters`, read.parameters, seen);
        return read;
      }),
    );
  },
};

/** The settings of the parameters that stand in a group. */
export function settingsOf(
  groups: readonly ParameterGroup[],
  common: { readonly lr: number; readonly weightDecay: number },
): Map<Parameter, GroupSettings> {
  const settings = new Map<Parameter, GroupSettings>();
  for (const { parameters, lr = common.lr, weightDecay = common.weightDecay } of groups) {
    if (common.lr === 0 && lr > 0) {
      throw invalid(`the rate ${lr} of a group is kept as a multiple of lr, which is 0; give an lr above 0`);
    }
    const multiple = lr === common.lr ? 1 : lr / common.lr;
    for (const parameter of parameters) settings.set(parameter, { multiple, weightDecay });
  }
  return settings;
}

function checkParameters(name: string, given: unknown, seen: Set<Parameter>): void {
  if (!Array.isArray(given) || given.length === 0 || !given.every((one) => one instanceof Parameter)) {
    throw invalid(
      `${name} must be a list of parameters, such as layer.parameters() gives or [layer.weight]; given ${describe(given)}`,
    );
  }
  for (const parameter of given as readonly Parameter[]) {
    if (seen.has(parameter))
      throw invalid(`${name} has ${parameter.name}, which stands in a group already; name it once`);
    seen.add(parameter);
  }
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}
