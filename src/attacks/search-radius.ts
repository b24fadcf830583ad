// The radius that a search keeps within: one of the epsilons, or without them one that each image bisects for itself.
import { assign, type State, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import type { Search } from "./attack.js";
import { type Norm, perSample } from "./norm.js";
import { type Answering, widest } from "./space.js";

/** Radii `[n]`, none larger than what the bounds leave. */
export class SearchRadius {
  /** The radii at hand. */
  readonly value: State;
  /** How many each image tries. */
  readonly tries: number;
  readonly #empty: State | undefined;
  readonly #best: Search["best"];

  constructor({ task, best, radii }: Search<Answering>, norm: Norm, binarySearchSteps: number) {
    const batched = true;
    const everything = norm.distance(widest(task.images, task.bounds));
    const first = radii === undefined ? everything : tensor(Float32Array.from(radii)).minimum(everything);
    this.value = state(first, { batched, name: "radius" });
    this.tries = radii === undefined ? binarySearchSteps : 1;
    this.#best = best;
    if (radii !== undefined) return;
    this.#empty = state(zeros([task.count]), { batched, name: "largest radius without an adversarial" });
  }

  /** The radii beside images. */
  beside(images: Tensor): Tensor {
    return perSample(this.value, images);
  }

  /** Chooses the next radius where the search in one `ended` and others are to be tried; `best.found` is false again then. */
  next(ended: Tensor): void {
    const empty = this.#empty;
    if (empty === undefined) return;
    const best = this.#best;
    const nearest = best.distances;
    const any = nearest.less(Number.POSITIVE_INFINITY);
    // Too large a radius may be why nothing was found; and a smaller one that held nothing tells little once something nearer was.
    const missed = any.and(best.found.not()).where(this.value, empty);
    const below = missed.less(nearest).where(missed, 0);
    const next = any.where(below.add(nearest), this.value).mul(0.5);
    assign(empty, ended.where(below, empty));
    assign(this.value, ended.where(next, this.value));
    assign(best.found, best.found.and(ended.not()));
  }
}
