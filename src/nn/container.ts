// Container: a module of which everything that is known follows from its parts.

import { TslipError } from "../errors.js";
import { type NetworkStep, networkLipschitzUpperBound } from "../native.js";
import { warn } from "../node/index.js";
import { isPromise, quiet } from "../promise.js";
import type { Shape } from "../tensor/shape.js";
import { asTensor, type Tensor } from "../tensor/tensor.js";
import { type Composite, type Flow, followsFlow, runThrough, TENSORS } from "./flow.js";
import type { Layer } from "./layer.js";
import { LipschitzModule } from "./lipschitz.js";
import { naming } from "./naming.js";
import { refuseOverridden } from "./overridden.js";
import { type Answer, checkedBound } from "./proof.js";

/** A module that consists of others. Subclasses say how values run through them, and `forward` and bounds follow. */
export abstract class Container extends LipschitzModule implements Composite {
  #seen: Shape | undefined;

  abstract flow<V>(x: V, flow: Flow<V>): V;

  forward(x: Tensor): Tensor {
    this.#seen = asTensor("a model", x).shape.slice(1);
    return this.flow(x, TENSORS);
  }

  /**
   * Of the parts' bounds: their product along a chain, their sum where branches are added, rounded up. A number where all parts
   * answer with one, as those of the library do; else a promise.
   */
  lipschitzBound(): Answer<number> {
    refuseOverridden(this, "lipschitzBound");
    const steps: Answer<NetworkStep>[] = [];
    const result = runThrough<number>(this, 0, {
      through: (layer, from, position) => steps.push(quiet(naming(layer, position, () => boundedStep(layer, from)))),
      sum: (from) => steps.push({ kind: "sum", from }),
      concat: (from) => steps.push({ kind: "concat", from }),
    });
    // The last step gives the result, also where more is computed than returned.
    if (result !== steps.length) steps.push({ kind: "sum", from: [result] });
    const known = steps.filter((step): step is NetworkStep => !isPromise(step));
    return known.length === steps.length
      ? networkLipschitzUpperBound(known)
      : Promise.all(steps).then(networkLipschitzUpperBound);
  }

  /** What a flow makes of the constants of its parts is known to the class alone: one that promises a constant says so, and shares it out. */
  override get lipschitzByConstruction(): boolean {
    return false;
  }

  /** Whether all parts are Lipschitz by construction. */
  protected get partsByConstruction(): boolean {
    return this.children().every(([, part]) => part.lipschitzByConstruction);
  }

  /**
   * Names each part that is not Lipschitz by construction in a process warning, as a container that promises a constant does when it is
   * made. `word` is what its parts are called.
   */
  protected warnOfParts(word: string): void {
    const { name } = this.constructor;
    for (const [at, part] of this.children()) {
      if (part.lipschitzByConstruction) continue;
      warn(
        `${at === word ? word : `${word} ${at}`} (${part.constructor.name}) of a ${name} is not Lipschitz by construction: kCoefLip says ` +
          "nothing about the whole",
        "NOT_LIPSCHITZ",
      );
    }
  }

  /** As {@link Module.summary}; without `inputShape` for the samples last seen. */
  override summary(inputShape: Shape | undefined = this.#seen): string {
    return super.summary(inputShape);
  }
}

followsFlow(Container.prototype.forward);

/** Refuses a constant that is asked of a container which promises none. */
export function checkConstrained(
  name: string,
  { kCoefLip, constrained }: { readonly kCoefLip: number | undefined; readonly constrained: boolean },
): void {
  if (constrained || kCoefLip === undefined) return;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `a ${name} that is not constrained keeps no kCoefLip; leave one of the two out`,
  );
}

/** The step of a layer with the bound that it answers with. */
function boundedStep(layer: Layer, from: number): Answer<NetworkStep> {
  refuseOverridden(layer, "lipschitzBound");
  const step = (given: unknown): NetworkStep => {
    const lipschitz = checkedBound(layer.constructor.name, given);
    return { kind: "layer", from, layer: { lipschitz } };
  };
  const answer: unknown = layer.lipschitzBound();
  return isPromise(answer) ? answer.then(step) : step(answer);
}
