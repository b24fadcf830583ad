// The way from an image to another one, halved: what is nearest to the image of all that is adversarial on it.
import { assign, full, Program, state, type Tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import type { Search } from "./attack.js";
import { type Norm, perSample } from "./norm.js";

/**
 * Offers `ends`, then what lies between the largest share of the way to them, by the norm, that was not adversarial and the
 * smallest that was, so many times.
 */
export async function halve(
  { task, best, signal }: Search,
  norm: Norm,
  ends: Tensor,
  steps: number,
  progress: (share: number, found: number) => void,
): Promise<void> {
  const { model, count, bounds } = task;
  const batched = true;
  const far = state(ends, { batched, name: "ends of the ways" });
  const way = state(ends.sub(task.images), { batched, name: "ways" });
  const share = state(full([count], 1), { batched, name: "shares of the ways" });
  const low = state(zeros([count]), { batched, name: "largest shares that were not adversarial" });
  const high = state(full([count], 1), { batched, name: "smallest shares that were adversarial" });
  const step = (): { found: Tensor } => {
    const between = best.originals.add(norm.project(way, norm.distance(way).mul(share))).clip(...bounds);
    // Roundings of a sum would take an end back over the border that it is just beyond.
    const moved = perSample(share.equal(1), far).where(far, between);
    const hit = best.offer(moved, model.forward(moved));
    const [from, to] = [hit.where(low, share), hit.where(share, high)];
    assign(low, from);
    assign(high, to);
    assign(share, from.add(to).mul(0.5));
    return { found: best.count() };
  };
  const program = model.evaluating(() => Program.record(step, []));
  const onProgress = (done: number, all: number, [found = 0]: Float64Array): void => progress(done / all, found);
  const last = await repeat(program, { steps: steps + 1, signal, onProgress });
  progress(1, last.values.found.item());
}
