// Trials of one network after another, each drawn from the seed and its number alone, until there are as many as asked for.
import { type Module, TslipError } from "tslip";
import { Draw } from "./draw.js";
import { KINDS, subject } from "./networks.js";
import { claimsOf, claimsWithoutRounding, tried, type Violation } from "./trial.js";

/** Images of a network that are certified together. */
const IMAGES = 24;

/** What is asked of a run. */
export interface Asked {
  /** Trials, at least. */
  readonly count: number;
  readonly seed: number;
  /** The number of the first network. */
  readonly from: number;
  /** Names of kinds of networks. */
  readonly only: readonly string[];
  /** Whether the claims are those of formulas that take float32 for exact. */
  readonly withoutRounding: boolean;
  readonly signal?: AbortSignal;
  /** Told after each network. */
  readonly onProgress?: (soFar: Outcome) => void;
  /** Told of each network that breaks a claim, with the first violation by each computation. */
  readonly onViolation?: (found: Reproducible) => void;
}

/** A violation with all that it takes to find it again. */
export interface Reproducible extends Violation {
  readonly kind: string;
  readonly seed: number;
  readonly network: number;
  /** Shape of a sample, and what its numbers are. */
  readonly sample: readonly number[];
  readonly dtype: "f32" | "u8";
  /** The architecture, as files of models have it, and the values of its states; JSON keeps all but the sign of 0. */
  readonly model: unknown;
  readonly states: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>>;
}

/** What trials of a kind of network have come to. */
interface OfKind {
  trials: number;
  violations: number;
  /** The shortest distance at which another class was found, in radii; Infinity where none was. */
  closest: number;
}

/** What a run has come to. */
export interface Outcome {
  readonly trials: number;
  readonly violations: number;
  /** Networks that were tried, and those that `certify` refused, as float32 has no numbers for what they compute. */
  readonly networks: number;
  readonly refused: number;
  /** The number of the network to go on with. */
  readonly next: number;
  /** Of each kind of network. */
  readonly kinds: Readonly<Record<string, Readonly<OfKind>>>;
}

/** Runs trials until there are `count`, or it is aborted: what it has come to by then. */
export async function run(asked: Asked): Promise<Outcome> {
  const { count, seed, only, withoutRounding, signal } = asked;
  const chosen = new Set(only);
  const kinds: Record<string, OfKind> = {};
  const sum = { trials: 0, violations: 0, networks: 0, refused: 0, next: asked.from, kinds };
  for (; sum.trials < count && signal?.aborted !== true; sum.next++) {
    const kind = KINDS[sum.next % KINDS.length];
    if (kind === undefined || !chosen.has(kind.name)) continue;
    const draw = new Draw(seed, sum.next);
    try {
      const drawn = await subject(kind, draw, IMAGES);
      const claims = await (withoutRounding ? claimsWithoutRounding : claimsOf)(drawn);
      const { trials, violations, closest } = await tried(drawn, claims, draw);
      for (const computed of ["float32", "exact"]) {
        const first = violations.find((one) => one.computed === computed);
        if (first === undefined) continue;
        const { sample, model, images } = drawn;
        const dtype = images instanceof Uint8Array ? "u8" : "f32";
        const { name } = kind;
        asked.onViolation?.({ kind: name, seed, network: sum.next, sample, dtype, ...first, ...(await shown(model)) });
      }
      sum.networks += 1;
      sum.trials += trials;
      sum.violations += violations.length;
      const own = kinds[kind.name];
      kinds[kind.name] = {
        trials: (own?.trials ?? 0) + trials,
        violations: (own?.violations ?? 0) + violations.length,
        closest: Math.min(own?.closest ?? Number.POSITIVE_INFINITY, closest),
      };
    } catch (error) {
      if (!(error instanceof TslipError && REFUSALS.includes(error.code))) throw error;
      sum.refused += 1;
    }
    asked.onProgress?.(sum);
  }
  return sum;
}

/** What is said of weights and logits that leave float32. */
const REFUSALS: readonly string[] = ["NON_FINITE", "UNSUPPORTED"];

async function shown(model: Module): Promise<Pick<Reproducible, "model" | "states">> {
  const states = Object.entries(await model.stateDict()).map(([key, value]) => [
    key,
    { shape: value.shape, data: Array.from(value.dataSync()) },
  ]);
  return { model: model.toJSON(), states: Object.fromEntries(states) };
}
