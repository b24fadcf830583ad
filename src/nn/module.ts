// Module: what every layer and model is. Parameters are found by walking its fields.

import { describe } from "../describe.js";
import { refuseFields, TslipError } from "../errors.js";
import { checkLogits, knownClassesOf } from "../logits.js";
import { AsyncVariable } from "../node/index.js";
import { flag } from "../options.js";
import { following } from "../promise.js";
import { Batching } from "../tensor/batching.js";
import { type InputSpec, Programs, readStates } from "../tensor/compile.js";
import { borrowed, type TensorData, tensor } from "../tensor/create.js";
import type { ArrayData } from "../tensor/dtype.js";
import type { Shape } from "../tensor/shape.js";
import { Parameter, State } from "../tensor/state.js";
import { isStateful, type Stateful } from "../tensor/stateful.js";
import { Tensor, type Value } from "../tensor/tensor.js";
import { observed } from "../tensor/trace.js";
import { type Architecture, architectureOf } from "./definition.js";
import { Fields } from "./fields.js";
import { forwarded } from "./flow.js";
import type { Layer } from "./layer.js";
import type { Answer } from "./proof.js";
import { type Rounding, unknownRounding } from "./rounding.js";
import { byKey, loadInto, type StateRecord } from "./state-dict.js";
import { summarize } from "./summary.js";

/** Images or other samples along axis 0: a tensor, values with their shape, or nested arrays. */
export type ModelInput = Tensor | { readonly data: ArrayData; readonly shape: Shape } | readonly TensorData[];

/** Calls of {@link Module.evaluating} under way. */
let evaluations = 0;
/** Whether a call of {@link evaluatingThroughout} is under way, in it and in what it awaits. */
const throughout = new AsyncVariable<boolean>();

/**
 * A function of a tensor with parameters. Subclasses define `forward` and keep parameters, other states and submodules
 * in fields, or in arrays in fields, where they are found. `forward` may read other fields: `predict` follows a change of
 * them, or of fields of arrays, functions and objects in them; with more than 16,384 of them in all it traces `forward` at each
 * call. It does not see private fields and others that `Object.keys` does not list, results of accessors, variables outside of the
 * object or that a function closes over, nor what maps, sets, dates and typed arrays hold: what changes there belongs in a state.
 */
export abstract class Module implements Layer, Stateful {
  #training = true;
  readonly #logits = new Evaluation(this, (x) => this.#observed(x));

  /** The result for a batch: axis 0 runs over the samples. */
  abstract forward(x: Tensor): Tensor;

  /** Whether the module is in training mode; compiled functions that read it are traced anew when it changes. */
  get training(): boolean {
    return observed(() => evaluations === 0 && throughout.get() !== true && this.#training);
  }

  /** Puts this module and all below it into training mode (or, with `false`, into evaluation mode). */
  train(mode = true): this {
    flag(true).read("mode", mode);
    for (const module of this.modules()) module.setMode(mode);
    return this;
  }

  /** Puts this module and all below it into evaluation mode. */
  eval(): this {
    return this.train(false);
  }

  /** Takes over the mode of another module, for itself alone. */
  inModeOf(other: Module): this {
    this.setMode(other.#training);
    return this;
  }

  /** Puts this module into training mode, or into evaluation mode, and none below it. */
  setMode(training: boolean): void {
    this.#training = training;
  }

  /** Called by `fit` behind the last step of each epoch: what averages over epochs overrides it. */
  epochEnded(): void | Promise<void> {}

  /** Direct submodules by name: `field`, or `field.index` in arrays. */
  children(): [string, Module][] {
    return fieldsOf(this).filter((field): field is [string, Module] => field[1] instanceof Module);
  }

  /** This module and all below it, each once. */
  modules(): Module[] {
    const seen = new Set<Module>([this]);
    for (const module of seen) for (const [, child] of module.children()) seen.add(child);
    return [...seen];
  }

  /** Parameters of this module and all below it, each once, in the order of their fields. */
  parameters(): Parameter[] {
    return [...new Set(this.namedParameters().map(([, parameter]) => parameter))];
  }

  /** Whether all {@link parameters} are trainable. Setting it freezes them all, or has them all trained; modes and other states stay. */
  get trainable(): boolean {
    return this.parameters().every(({ trainable }) => trainable);
  }

  set trainable(value: boolean) {
    for (const parameter of this.parameters()) parameter.trainable = value;
  }

  /** Parameters with their keys in the state dictionary. */
  namedParameters(): [string, Parameter][] {
    return this.namedStates().filter((entry): entry is [string, Parameter] => entry[1] instanceof Parameter);
  }

  /**
   * Parameters and other states with their keys in the state dictionary, those of a generator or another object in a field that
   * lists its states too. Without a prefix it names the states after their keys, for messages alone: a look at a part of the
   * module names them after their keys in that part.
   */
  namedStates(prefix = ""): [string, State][] {
    const fields = fieldsOf(this);
    const own = fields.filter((field): field is [string, State] => field[1] instanceof State);
    const states: [string, State][] = own.map(([field, state]) => [prefix + this.stateKey(field), state]);
    for (const [, state] of states) if (state instanceof Parameter) state.listed = true;
    for (const [name, child] of this.children()) states.push(...child.namedStates(`${prefix}${name}.`));
    for (const [name, value] of fields) {
      if (value instanceof Module || value instanceof State || !isStateful(value)) continue;
      states.push(...value.namedStates(`${prefix}${name}.`));
    }
    if (prefix === "") for (const [key, state] of states) state.name = key;
    return states;
  }

  /** The key under which the state of a field is filed. */
  protected stateKey(field: string): string {
    return field;
  }

  /** Tensors that torchlip files beside the states of this layer; written for exchange, not read. */
  exchanged(): [string, Tensor][] {
    return [];
  }

  /** {@link exchanged} of this module and all below it, by full key. */
  namedExchanged(prefix = ""): [string, Tensor][] {
    const own = this.exchanged().map(([key, value]): [string, Tensor] => [prefix + key, value]);
    return [...own, ...this.children().flatMap(([name, child]) => child.namedExchanged(`${prefix}${name}.`))];
  }

  /** Values of all states under torchlip's key names, as they are when the promise resolves; rejects where two have one key. */
  async stateDict(): Promise<Record<string, Value>> {
    return await readStates(Object.fromEntries(byKey([...this.namedStates(), ...this.namedExchanged()])));
  }

  /**
   * Takes over the values of a record under the keys of {@link stateDict}; what torchlip keeps beside the weights
   * (`_u`, `_v`, `_w_bjorck`) may be there or not and is ignored, being a function of the weights. Throws one error that
   * names missing and unexpected keys, shapes and types, of many the first ones; nothing is changed then.
   */
  loadStateDict(record: StateRecord): void {
    loadInto(this.namedStates(), this.namedExchanged(), record);
  }

  /** Logits in evaluation mode; u8 images are divided by 255 as those of data sets are. One plan per batch size. */
  async predict(x: ModelInput): Promise<Value> {
    return await this.#logits.run(batchOf(x, borrowed));
  }

  /** {@link predict} on the caller's time. */
  predictSync(x: ModelInput): Value {
    return this.#logits.sync(batchOf(x, borrowed));
  }

  /**
   * The class with the largest logit for each sample (the first of ties). Throws `SHAPE_MISMATCH` unless logits are `[n, classes]`
   * of two classes or more, `NON_FINITE` where the largest is NaN or infinite, with the sample and what is at fault.
   */
  async classify(x: ModelInput): Promise<Int32Array> {
    const batch = batchOf(x, borrowed);
    const logits = await this.predict(batch);
    checkLogits("classify", logits.shape);
    return await knownClassesOf(logits, () => batch.data());
  }

  /** Logits of images, in a trace that is redone when a field changes. */
  #observed(x: Tensor): Tensor {
    const logits = forwarded(this, scaledImages(x));
    const fields = new Fields(this.modules());
    observed(() => fields.current);
    return logits;
  }

  /** Calls `call` with all modules in evaluation mode, as far as it is synchronous. */
  evaluating<T>(call: () => T): T {
    evaluations += 1;
    try {
      return call();
    } finally {
      evaluations -= 1;
    }
  }

  /**
   * A proved upper bound of the L2 Lipschitz constant with the weights of the moment of the call; those of the library read them on
   * the caller's time. A class of your own may answer with a promise, and then what holds it does too: `await` takes both. Throws
   * `NOT_LIPSCHITZ` without a bound.
   */
  lipschitzBound(): Answer<number> {
    const { name } = this.constructor;
    throw new TslipError(
      "NOT_LIPSCHITZ",
      `${name} has no known Lipschitz bound, so nothing can be certified through it; define lipschitzBound() in ${name}, or ` +
        "use a layer that is Lipschitz by construction",
    );
  }

  /**
   * How float32 rounds in `forward`, for a sample with `results` values in its result that is computed from one of the shape `sample`, or
   * a promise of it. Where no shape is given, it holds for all. Throws `UNSUPPORTED`
   * for classes that do not say it, which certificates then refuse. A class that defines it promises too that `forward` treats samples
   * independently and is deterministic (docs/certificates.md, "Layers of your own").
   */
  rounding(_results: number, _sample?: Shape): Answer<Rounding> {
    throw unknownRounding(this.constructor.name);
  }

  /** Whether the Lipschitz constant is known whatever the parameters are. */
  get lipschitzByConstruction(): boolean {
    return false;
  }

  /** The layer as an ordinary one, with the weights it has now; a module without constraints is its own. */
  vanillaExport(): Module {
    return this;
  }

  /** Shape of a sample, as far as the module fixes it. */
  get inputShape(): readonly (number | undefined)[] | undefined {
    return undefined;
  }

  /**
   * Its class and options, defaults written out, and those of the modules in it: what `saveModel` writes and `fromJSON` builds
   * again. Throws `UNSUPPORTED` for classes that the library does not have.
   */
  toJSON(): Architecture {
    return architectureOf(this, (part) => (part instanceof Module ? part.asPartOf(this) : part));
  }

  /** {@link toJSON} in that of a module that has it among its options. */
  asPartOf(_whole: Module): Architecture {
    return this.toJSON();
  }

  /** A table of layers with output shapes, parameters and Lipschitz bounds; `inputShape` is that of one sample. */
  summary(inputShape?: Shape): string {
    return summarize(this, inputShape);
  }
}

refuseFields(Module.prototype, { requiresGrad: "set trainable", requires_grad: "set trainable" });

/** What a module computes of samples in evaluation mode; calls of few samples share batches where many come at once. */
class Evaluation {
  readonly #module: Module;
  readonly #programs: Programs<[Tensor], Tensor>;
  readonly #batching = new Batching<Tensor>();

  constructor(module: Module, compute: (x: Tensor) => Tensor) {
    this.#module = module;
    this.#programs = new Programs(compute);
  }

  run(x: Tensor): Value | Promise<Value> {
    return this.#module.evaluating(() =>
      this.#programs.run([x], (program, [bytes = new Uint8Array()]) => {
        const larger = (spec: InputSpec) =>
          this.#module.evaluating(() => (program.current ? this.#programs.for([spec]) : undefined));
        const outcome = this.#batching.run({ program, bytes, larger });
        return following(outcome, ({ outputs }) => program.results(outputs));
      }),
    );
  }

  sync(x: Tensor): Value {
    return this.#module.evaluating(() => this.#programs.step([x]));
  }
}

/** Calls `call` with all modules in evaluation mode, in it and in all that it awaits. */
export function evaluatingThroughout<T>(call: () => T): T {
  return throughout.run(true, call);
}

/** A module's fields, entries of arrays among them as `field.index`. */
function fieldsOf(module: Module): [string, unknown][] {
  const fields: [string, unknown][] = [];
  const add = (field: [string, unknown]): void => {
    const [name, value] = field;
    if (Array.isArray(value)) value.forEach((item: unknown, i) => add([`${name}.${i}`, item]));
    else fields.push(field);
  };
  Object.entries(module).forEach(add);
  return fields;
}

/** u8 images as f32 in [0, 1], divided by 255 as PyTorch's `ToTensor` and the batches of a data set are. */
export function scaledImages(x: Tensor): Tensor {
  return x.dtype === "u8" ? x.cast("f32").div(255) : x;
}

/** A model's input as a tensor; values with their shape become one by `make`. */
export function batchOf(x: ModelInput, make: typeof borrowed = tensor): Tensor {
  if (x instanceof Tensor) return x;
  if (Array.isArray(x) || ArrayBuffer.isView(x)) return tensor(x as TensorData);
  if (typeof x === "object" && x !== null && "data" in x && "shape" in x) return make(x.data, x.shape);
  throw new TslipError(
    "INVALID_ARGUMENT",
    `images must be a tensor [n, ...], { data, shape } or nested arrays, as batch(i).images of a data set; given ${describe(x)}`,
  );
}
