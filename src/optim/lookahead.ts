// Lookahead (Zhang et al. 2019): every k steps the weights go back a part of the way that another optimizer has taken them.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { number, type Options, readOptions, type Schema, whole } from "../options.js";
import { assignAll, type Parameter, type Shape, type State, type Tensor } from "../tensor/index.js";
import { currentTrace, latest } from "../tensor/trace.js";
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

/** How keys of the inner optimizer's states begin. */
const INNER = "inner.";
/** Updates of a parameter since its slow weights have last moved, 0-d. */
const STEPS = "steps";
const SLOW = "slow weights";
/** What the last step has left a parameter at, projections and whatever else followed the update included. */
const LEFT = "last values";

/** What a parameter begins an update with, in the recording under way. */
interface Begun {
  readonly slow: Tensor;
  /** Updates since the slow weights have last moved, 0-d. */
  readonly steps: Tensor;
}

/**
 * Hands gradients on to `inner`; after every k updates of a parameter, slow <- slow + alpha (p - slow) and p <- slow. The learning rate is
 * the inner optimizer's, as are its momentum, weight decay and groups. Where a parameter has been given other values between two steps
 * (`assign`, `loadStateDict`, the best weights that `EarlyStopping` puts back), its slow weights begin anew with those.
 */
export class Lookahead extends Optimizer {
  readonly inner: Optimizer;
  readonly #options: Options<typeof OPTIONS>;
  #begun: ReadonlyMap<Parameter, Begun> = new Map();

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

  override restoring(keys: readonly string[], parameters: readonly Parameter[], restore: () => void): void {
    const ofInner = keys.filter((key) => key.startsWith(INNER)).map((key) => key.slice(INNER.length));
    this.inner.restoring(ofInner, parameters, restore);
  }

  /** Its own, and under `inner.` those of the inner optimizer, but for the rate and the epochs, which are the same. */
  override namedStates(prefix = "", parameters: readonly (readonly [string, Parameter])[] = []): [string, State][] {
    const own = super.namedStates(prefix, parameters);
    const known = new Set(own.map(([, one]) => one));
    return [...own, ...this.inner.namedStates(prefix + INNER, parameters).filter(([, one]) => !known.has(one))];
  }

  protected override slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    return { [STEPS]: [], [SLOW]: shape, [LEFT]: shape };
  }

  protected override begin(parameters: readonly Parameter[], gradients: readonly Tensor[]): void {
    const trained = parameters.filter(({ trainable }) => trainable);
    this.#begun = new Map(trained.map((parameter) => [parameter, this.#beginningOf(parameter)]));
    this.inner.update(parameters, gradients);
  }

  /** Where slow weights have just moved, or have yet to begin, or begin anew, the parameter is what they are. */
  #beginningOf(parameter: Parameter): Begun {
    const same = parameter.equal(this.slot(parameter, LEFT)).all();
    const steps = same.where(this.slot(parameter, STEPS), 0);
    const fresh = steps.equal(0).broadcastTo(parameter.shape);
    return { slow: fresh.where(parameter, this.slot(parameter, SLOW)), steps };
  }

  protected override updateOne(parameter: Parameter): void {
    const begun = this.#begun.get(parameter);
    if (begun === undefined) return;
    const { k, alpha } = this.#options;
    const { slow } = begun;
    const fast = latest(parameter);
    const steps = begun.steps.add(1);
    const due = steps.greaterEqual(k);
    const next = due.broadcastTo(parameter.shape).where(slow.add(fast.sub(slow).mul(alpha)), fast);
    const left = this.slot(parameter, LEFT);
    assignAll([
      [this.slot(parameter, SLOW), slow],
      [this.slot(parameter, STEPS), due.where(0, steps)],
      [parameter, next],
      [left, next],
    ]);
    currentTrace()?.follow(left, parameter);
  }
}

refuseOptions(Lookahead, ["k", "alpha"]);
