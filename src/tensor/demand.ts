// What a function of tensors demands of the values of an operand: checked as soon as there are values.
import { type Tensor, Value } from "./tensor.js";
import { latest, type Trace, type ValueCheck } from "./trace.js";

/**
 * Has `check` look at the values of a tensor: at once where it holds them; those of an argument of a compiled function at
 * each call, before anything is run. False where it does neither, because the tensor is computed.
 */
export function demand(tensor: Tensor, check: ValueCheck): boolean {
  const operand = latest(tensor);
  if (operand instanceof Value) {
    check(operand.held());
    return true;
  }
  const argument = argumentOf(operand);
  argument?.trace.demand(argument.number, check);
  return argument !== undefined;
}

/** What has been demanded so far of an argument of the function under way. */
export function demandsOf(tensor: Tensor): readonly ValueCheck[] {
  const argument = argumentOf(latest(tensor));
  return argument === undefined ? [] : argument.trace.demandsOf(argument.number);
}

function argumentOf({ op, attributes, trace }: Tensor): { trace: Trace; number: number } | undefined {
  return op === "input" && trace !== undefined ? { trace, number: Number(attributes["index"]) } : undefined;
}
