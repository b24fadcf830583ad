// Adversarials that a search begins with, however far they are.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { scaledImages } from "../nn/module.js";
import { type Option, optional } from "../options.js";
import { assign, Generator, Program, state, Tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import type { Attack, Search } from "./attack.js";
import { perSample } from "./norm.js";
import type { Answering, AttackTask } from "./space.js";

/** Adversarials that are given. */
export const startingPoints: Option<Tensor | undefined> = optional({
  read(name, given) {
    if (given instanceof Tensor) return given;
    throw new TslipError("INVALID_ARGUMENT", `${name} must be a tensor of the images' shape; given ${describe(given)}`);
  },
});

/** Refuses options of an attack that say twice where it starts. */
export function checkStarts(attack: string, options: { initAttack?: unknown; startingPoints?: unknown }): void {
  if (options.initAttack === undefined || options.startingPoints === undefined) return;
  throw new TslipError("INVALID_ARGUMENT", `${attack} was given initAttack and startingPoints; give one of them`);
}

/** Points that were given, one for each of the images, as the model sees them and within the bounds. */
export function asStarts(points: Tensor, { images, bounds }: AttackTask<Answering>): Tensor {
  if (points.shape.join() === images.shape.join()) return scaledImages(points).clip(...bounds);
  throw new TslipError(
    "SHAPE_MISMATCH",
    `startingPoints are [${points.shape}], the images [${images.shape}]; give one of the same shape for each image`,
  );
}

/** What another attack finds for the images of a search; the images themselves where that is nothing. */
export async function foundBy(attack: Attack, { task, signal }: Search): Promise<Tensor> {
  const { model, images, labels, targets, bounds } = task;
  const aims = targets === undefined ? {} : { targets };
  const { raw } = await attack.run(model, images, labels, { bounds, signal, ...aims });
  return raw;
}

/** Uniform noise within the bounds, of so many draws the first that is adversarial; the images themselves where none is. */
export async function noise(
  { task, best, signal }: Search,
  draws: number,
  seed: number | undefined,
  report: (found: number) => void,
): Promise<Tensor> {
  const { model, images, count, bounds } = task;
  const [low, high] = bounds;
  const generator = new Generator(seed === undefined ? {} : { seed });
  const ends = state(images, { batched: true, name: "adversarial noise" });
  const drawn = state(zeros([count], { dtype: "bool" }), { batched: true, name: "images with such noise" });
  const done = state(zeros([], { dtype: "bool" }), { name: "all images have one" });
  const step = (): { found: Tensor; ends: Tensor } => {
    // One for all, so that an image has the same whichever are beside it.
    const one = generator.uniform([1, ...images.shape.slice(1)]).mul(high - low);
    const tried = best.originals.mul(0).add(one.add(low)).clip(low, high);
    const hit = best.offer(tried, model.forward(tried));
    const first = drawn.not().and(hit);
    assign(ends, perSample(first, tried).where(tried, ends));
    assign(drawn, drawn.or(hit));
    assign(done, drawn.all());
    return { found: best.count(), ends };
  };
  const program = model.evaluating(() => Program.record(step, []));
  const { values } = await repeat(program, {
    steps: draws,
    until: done,
    signal,
    onProgress: (_, __, [found = 0]) => report(found),
  });
  return values.ends;
}
