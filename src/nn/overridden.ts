// Modules of which a method may speak of another function than the one they compute.
import { TslipError } from "../errors.js";

const ANSWERS: ReadonlySet<string> = new Set(["lipschitzBound", "rounding", "vanillaExport"]);

/**
 * Refuses a module of which `method` may be said of another function than it computes: where its class overrides `forward` (or,
 * for what it exports, `flow`) below the class that defines the method, or the module has one of its own. Throws `NOT_LIPSCHITZ`.
 */
export function refuseOverridden(module: object, method: "lipschitzBound" | "vanillaExport" | "rounding"): void {
  const { name } = module.constructor;
  // What a container exports follows its flow only where the class says so; its bound always does.
  const functions = method === "vanillaExport" ? ["forward", "flow"] : ["forward"];
  const set = functions.find((one) => Object.hasOwn(module, one));
  if (set !== undefined) {
    throw new TslipError(
      "NOT_LIPSCHITZ",
      `${set} was set on a ${name} itself, by assignment or as an arrow function in its class, so ${method}() may speak of ` +
        `another ${set}; define both as methods of a class`,
    );
  }
  // What a module answers itself is believed as what a class answers.
  const own = Object.getOwnPropertyNames(module).filter((one) => !ANSWERS.has(one));
  const shadow = own.find((one) => isCode(Object.getPrototypeOf(module), one));
  if (shadow !== undefined) {
    throw new TslipError(
      "NOT_LIPSCHITZ",
      `${shadow} was set on a ${name} itself, where its class has code of that name, so ${method}() may speak of another function; ` +
        "define it in a class",
    );
  }
  const classes: object[] = [];
  // The class at the root, Module, defines every method and none of them for a function of its own.
  for (
    let at: object = Object.getPrototypeOf(module);
    Object.getPrototypeOf(at) !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    classes.push(at);
  }
  const owner = classes.findIndex((one) => Object.hasOwn(one, method));
  const below = classes.slice(0, Math.max(0, owner));
  const overridden = functions.find((one) => below.some((level) => Object.hasOwn(level, one)));
  if (overridden === undefined) return;
  throw new TslipError(
    "NOT_LIPSCHITZ",
    `${name} overrides ${overridden}() but not ${method}(), which speaks of another one; define ${method}() in ${name} too`,
  );
}

/** Whether objects of a prototype have a method or an accessor of that name. */
function isCode(prototype: object, name: string): boolean {
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    const property = Object.getOwnPropertyDescriptor(at, name);
    if (property !== undefined) return property.get !== undefined || typeof property.value === "function";
  }
  return false;
}
