// How a training begins whose weights a projection keeps: with weights in the set, as long as a step follows.
import { engine } from "../native.js";
import type { Module } from "../nn/index.js";
import { Copies } from "./callbacks/copies.js";
import { failureOf } from "./guard.js";
import type { PassResult, Training } from "./pass.js";

/**
 * Runs steps from weights that the projection has brought into its set, if there is one. However the run ends, a model of which no step
 * has changed anything has the weights that it had before.
 */
export async function fromProjected<R extends Pick<PassResult, "failed" | "steps"> | undefined>(
  model: Module,
  { projection, optimizer }: Pick<Training, "projection" | "optimizer">,
  run: () => Promise<R>,
): Promise<R> {
  if (projection === undefined) return await run();
  // Each step writes it.
  const written = (): number | undefined => engine().versions([failureOf(optimizer).id])[0];
  const before = written();
  const given = new Copies("value before the projection", (of) => of.namedParameters());
  await given.take(model);
  let failedAtOnce = false;
  try {
    await projection.begin(model);
    const result = await run();
    failedAtOnce = result?.failed === true && result.steps === 1;
    return result;
  } finally {
    if (failedAtOnce || written() === before) await given.put(model);
  }
}
