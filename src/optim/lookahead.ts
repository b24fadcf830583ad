// Lookahead (Zhang et al. 2019): every k steps the weights go back a part of the way that another optimizer has taken them.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { number, type Options, readOptions, type Schema, whole } from "../options.js";
import { assign, type Parameter, type Shape, type State, type Tensor } from "../tensor/index.js";
import { latest } from "../tensor/trace.js";
import { Optimizer, refuseOptions } from "./optimizer.js";

export interface LookaheadOptions {
  /** Steps of the inner optimizer between two of the slow weights, by default 5. */
  k?: number;
  /** Share of the way that the slow weights take, from 0 to 1; by default 0.5. */
  alpha?: number;
}

const OPTIONS = {
  k: whole(1, 5),
  alpha: number("from 0 to 1", (value) => value >= 0 && value <= 1, 0.5),
} satisfies Schema<keyof LookaheadOptions>;

/** Updates of a parameter since its slow weights have last moved, 0-d. */
const STEPS = "steps";
const SLOW = "slow weights";

/**
 * Hands gradients on to `inner`; after every k updates of a parameter, slow <- slow + alpha (p - slow) and p <- slow. The learning rate is
 * the inner optimizer's, as are its momentum, weight decay and groups.
 */
export class Lookahead extends Optimizer {
  readonly inner: Optimizer;
  readonly #options: Options<typeof OPTIONS>;
  /** The slow weights that parameters begin an update with, in the recording under way. */
  #slow: ReadonlyMap<Parameter, Tensor> = new Map();

  constructor(inner: Optimizer, options: LookaheadOptions = {}) {
    if (!((inner as unknown) instanceof Optimizer)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `Lookahead takes an optimizer such as new Adam(), then its options; given ${describe(inner)}`,
      );
    }
    const read = readOptions("Lookahead", OPTIONS, options);
    super(inner.lr, { inner });
    this.inner = inner;
    this.#options = read;
  }

  override get lr(): number {
    return this.inner.lr;
  }

  override set lr(value: number) {
    this.inner.lr = value;
  }

  override get momentumState(): State | undefined {
    return this.inner.momentumState;
  }

  override get grouped(): readonly Parameter[] {
    return this.inner.grouped;
  }

  override track(parameters: readonly Parameter[]): void {
    super.track(parameters);
    this.inner.track(parameters);
  }

  /** Its own, and under `inner.` those of the inner optimizer, but for the rate and the epochs, which are the same. */
  override namedStates(prefix = "", parameters: readonly (readonly [string, Parameter])[] = []): [string, State][] {
    const own = super.namedStates(prefix, parameters);
    const known = new Set(own.map(([, one]) => one));
    return [...own, ...this.inner.namedStates(`${prefix}inner.`, parameters).filter(([, one]) => !known.has(one))];
  }

  protected override slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    return { [STEPS]: [], [SLOW]: shape };
  }

  protected override begin(parameters: readonly Parameter[], gradients: readonly Tensor[]): void {
    const trained = parameters.filter(({ trainable }) => trainable);
    this.#slow = new Map(trained.map((parameter) => [parameter, this.#slowOf(parameter)]));
    this.inner.update(parameters, gradients);
  }

  /** The slow weights before an update; where they have just moved, or have yet to begin, the parameter is what they are. */
  #slowOf(parameter: Parameter): Tensor {
    const fresh = this.slot(parameter, STEPS).equal(0).broadcastTo(parameter.shape);
    return fresh.where(parameter, this.slot(parameter, SLOW));
  }

  protected override updateOne(parameter: Parameter): void {
    const { k, alpha } = this.#options;
    const [counted, slot, slow] = [this.slot(parameter, STEPS), this.slot(parameter, SLOW), this.#slow.get(parameter)];
    if (slow === undefined) return;
    const fast = latest(parameter);
    const steps = counted.add(1);
    const due = steps.greaterEqual(k);
    assign(slot, slow);
    assign(counted, due.where(0, steps));
    assign(parameter, due.broadcastTo(parameter.shape).where(slow.add(fast.sub(slow).mul(alpha)), fast));
  }
}

refuseOptions(Lookahead, ["k", "alpha"]);
