// What a function of tensors demands of the values of an operand: checked as soon as there are values.
import { TslipError } from "../errors.js";
import { type Tensor, Value } from "./tensor.js";
import { latest, type Trace, type ValueCheck } from "./trace.js";

/**
 * Has `check` look at the values of a tensor: at once where it holds them; those of an argument of a compiled function at
 * each call, before anything is run. False where it does neither, because the tensor is computed.
 */
export function demand(tensor: Tensor, check: ValueCheck): boolean {
  const operand = latest(tensor);
  const why = reason;
  const told: ValueCheck = why === undefined ? check : (values) => because(why, () => check(values));
  if (operand instanceof Value) {
    told(operand.held());
    return true;
  }
  const argument = argumentOf(operand);
  argument?.trace.demand(argument.number, told);
  return argument !== undefined;
}

/** Why what is recorded now makes its demands, where they would not say it. */
let reason: string | undefined;

/** Runs `make`: what it refuses, and what its demands will, is said with the reason why that was asked for. */
export function demanding<T>(why: string, make: () => T): T {
  const before = reason;
  reason = why;
  try {
    return because(why, make);
  } finally {
    reason = before;
  }
}

function because<T>(why: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof TslipError)) throw error;
    const { code, message, op, shapes } = error;
    throw new TslipError(code, `${why}: ${message}`, { op, shapes, cause: error });
  }
}

/** What has been demanded so far of an argument of the function under way. */
export function demandsOf(tensor: Tensor): readonly ValueCheck[] {
  const argument = argumentOf(latest(tensor));
  return argument === undefined ? [] : argument.trace.demandsOf(argument.number);
}

function argumentOf({ op, attributes, trace }: Tensor): { trace: Trace; number: number } | undefined {
  return op === "input" && trace !== undefined ? { trace, number: Number(attributes["index"]) } : undefined;
}
