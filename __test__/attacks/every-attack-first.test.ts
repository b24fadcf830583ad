// Every second example of the attacks, from the first on, and their short names.
import { expect, it } from "vitest";
import * as attacks from "../../src/attacks/index.js";
import { everyAttack } from "./every-attack.js";
import { aliases, cases } from "./examples.js";

everyAttack(cases.filter((_, i) => i % 2 === 0));

it.each(Object.entries(aliases))("%s is a short name", (alias, full) => {
  const exported: Readonly<Record<string, unknown>> = attacks;
  expect(exported[alias]).toBe(full);
});
