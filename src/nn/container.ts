// Container: a module of which everything that is known follows from its parts.
import { type NetworkStep, networkLipschitzUpperBound } from "../native.js";
import type { Shape } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { type Composite, type Flow, runThrough, TENSORS } from "./flow.js";
import { LipschitzModule } from "./lipschitz.js";
import { naming } from "./naming.js";
import { refuseOverridden } from "./overridden.js";

/** A module that consists of others. Subclasses say how values run through them, and `forward` and bounds follow. */
export abstract class Container extends LipschitzModule implements Composite {
  #seen: Shape | undefined;

  abstract flow<V>(x: V, flow: Flow<V>): V;

  get composed(): boolean {
    return this.forward === Container.prototype.forward;
  }

  forward(x: Tensor): Tensor {
    this.#seen = x.shape.slice(1);
    return this.flow(x, TENSORS);
  }

  /** Of the parts' bounds: their product along a chain, their sum where branches are added, rounded up. */
  lipschitzBound(): number {
    refuseOverridden(this, "lipschitzBound");
    const steps: NetworkStep[] = [];
    const result = runThrough<number>(this, 0, {
      through: (layer, from, position) => {
        const lipschitz = naming(layer, position, () => {
          refuseOverridden(layer, "lipschitzBound");
          return layer.lipschitzBound();
        });
        return steps.push({ kind: "layer", from, layer: { lipschitz } });
      },
      sum: (from) => steps.push({ kind: "sum", from }),
      concat: (from) => steps.push({ kind: "concat", from }),
    });
    // The last step gives the result, also where more is computed than returned.
    if (result !== steps.length) steps.push({ kind: "sum", from: [result] });
    return networkLipschitzUpperBound(steps);
  }

  /** As {@link Module.summary}; without `inputShape` for the samples last seen. */
  override summary(inputShape: Shape | undefined = this.#seen): string {
    return super.summary(inputShape);
  }
}
