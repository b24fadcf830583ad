// The boundary attack (Brendel, Rauber and Bethge 2018), with foolbox's defaults and order of operations, each image by itself.
import { number, type Options, positive, readOptions, type Schema, whole } from "../options.js";
import { assign, full, type State, scalar, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { LinearSearchBlendedUniformNoiseAttack } from "./blended-noise.js";
import { L2, perSample, SMALLEST } from "./norm.js";
import {
  type QueryAttack as Init,
  QUERY_OPTIONS,
  type Queries,
  QueryAttack,
  type QueryOptions,
  queryAttack,
} from "./queries.js";

/** Options of {@link BoundaryAttack}. */
export interface BoundaryOptions extends QueryOptions {
  /** Where it starts from, by default uniform noise that the image is blended with in 50 steps. */
  initAttack?: Init;
  /** By default 25,000. */
  steps?: number;
  /** First length of steps along the sphere around the image, as a share of the distance; by default 0.01. */
  sphericalStep?: number;
  /** First length of steps towards the image, as a share of the distance; by default 0.01. */
  sourceStep?: number;
  /** An image rests once its steps towards it are shorter, by default 1e-7. */
  sourceStepConvergance?: number;
  /** By what steps are multiplied or divided, by default 1.5. */
  stepAdaptation?: number;
  /** After how many steps it is asked for the step along the sphere alone too, by default 10. */
  updateStatsEveryK?: number;
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  initAttack: queryAttack,
  steps: whole(1, 25_000),
  sphericalStep: positive(1e-2),
  sourceStep: positive(1e-2),
  sourceStepConvergance: positive(1e-7),
  stepAdaptation: number("finite and above 1", (value) => Number.isFinite(value) && value > 1, 1.5),
  updateStatsEveryK: whole(1, 10),
} satisfies Schema<keyof BoundaryOptions>;

/** What a round asks for: a step along the sphere and towards the image, the same before the first is asked for alone, the first alone. */
const [STEP, STEP_BEFORE, SPHERE] = [0, 1, 2];
/** How many of its last outcomes make a rate, and below and above which one steps become shorter and longer. */
const SPHERICAL = { kept: 100, low: 0.2, high: 0.5 };
const WHOLE = { kept: 30, low: 0.1, high: 0.25 };
/** Share of the work that finds a start. */
const START = 0.1;

/** The last outcomes of each image, since a rate of them changed its steps. */
class Rate {
  readonly #outcomes: State;
  readonly #count: State;

  constructor(
    readonly of: typeof SPHERICAL,
    count: number,
  ) {
    const batched = true;
    this.#outcomes = state(zeros([count, of.kept]), { batched, name: "last outcomes" });
    this.#count = state(zeros([count]), { batched, name: "how many there are" });
  }

  /** Notes outcomes where `due`: by what steps are to be multiplied, 1 until there are enough. */
  factor(outcomes: Tensor, due: Tensor, adaptation: number): Tensor {
    const { kept, low, high } = this.of;
    const column = outcomes.cast("f32").reshape([-1, 1]);
    const next = this.#outcomes.slice([0, 1]).concat(column, 1);
    const count = this.#count.add(due.cast("f32"));
    const rate = next.mean(1);
    const enough = due.and(count.greaterEqual(kept));
    const [longer, shorter] = [enough.and(rate.greater(high)), enough.and(rate.less(low))];
    assign(this.#outcomes, due.reshape([-1, 1]).where(next, this.#outcomes));
    assign(this.#count, longer.or(shorter).where(0, count));
    return longer.where(adaptation, shorter.where(1 / adaptation, 1));
  }
}

/**
 * The boundary attack (Brendel, Rauber and Bethge 2018): from an adversarial a random step along the sphere around the image, and a step
 * towards the image, kept where it is adversarial still. Lengths of steps follow how often they are.
 */
export class BoundaryAttack extends QueryAttack {
  readonly norm = L2;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: BoundaryOptions = {}) {
    super();
    this.options = readOptions("BoundaryAttack", OPTIONS, options);
  }

  protected override async query(queries: Queries): Promise<void> {
    const { steps, sphericalStep, sourceStep, sourceStepConvergance, stepAdaptation, updateStatsEveryK } = this.options;
    const { initAttack = new LinearSearchBlendedUniformNoiseAttack({ steps: 50 }) } = this.options;
    await this.begin(initAttack, queries, [0, START]);
    const { task, best } = queries.search;
    const { images, count, bounds } = task;
    const batched = true;
    const current = state(tensor(await best.values(), images.shape), { batched, name: "adversarials" });
    const started = state(best.distances.less(Number.POSITIVE_INFINITY), { batched, name: "whether there is any" });
    const sphere = state(images, { batched, name: "steps along the sphere" });
    const spherical = state(full([count], sphericalStep), { batched, name: "lengths of steps along the sphere" });
    const source = state(full([count], sourceStep), { batched, name: "lengths of steps towards the image" });
    const outcome = state(zeros([count], { dtype: "bool" }), { batched, name: "whether the last was adversarial" });
    const rates = [new Rate(SPHERICAL, count), new Rate(WHOLE, count)] as const;
    const kind = state(scalar(STEP), { name: "kind of the round" });
    const rounds = queries.rounds({
      settings: [kind],
      ask: (draws) => {
        const { originals } = best;
        const toSource = originals.sub(current);
        const distances = L2.distance(toSource);
        const direction = toSource.div(perSample(distances.maximum(SMALLEST), toSource));
        const noise = draws.normal([1, ...images.shape.slice(1)]);
        const along = perSample(direction.mul(noise).flatten(1).sum(1), direction);
        const tangent = noise.sub(along.mul(direction));
        const length = spherical.mul(distances).div(L2.distance(tangent).maximum(SMALLEST));
        // By Pythagoras back on the sphere.
        const stretch = perSample(spherical.square().add(1).sqrt(), tangent);
        const turned = tangent.mul(perSample(length, tangent)).sub(toSource).div(stretch);
        const onSphere = originals.add(turned).clip(...bounds);
        const back = originals.sub(onSphere);
        const left = L2.distance(back);
        const step = source.mul(distances).add(left).sub(distances).relu().div(left.maximum(SMALLEST));
        const nearer = onSphere.add(back.mul(perSample(step, back))).clip(...bounds);
        const alone = kind.equal(SPHERE);
        const asked = alone.where(sphere, nearer);
        assign(sphere, alone.where(sphere, onSphere));
        return { images: asked, of: started.and(source.greaterEqual(sourceStepConvergance)) };
      },
      learn: ({ images: moved, hit, asked }) => {
        const alone = kind.equal(SPHERE);
        const distance = (x: Tensor): Tensor => L2.distance(x.sub(best.originals));
        const taken = hit.and(alone.not()).and(distance(moved).less(distance(current)));
        assign(current, perSample(taken, moved).where(moved, current));
        const due = asked.and(alone);
        const before = kind.equal(STEP_BEFORE);
        const last = outcome;
        const ofSphere = rates[0].factor(hit, due, stepAdaptation);
        const ofStep = rates[1].factor(last, due, stepAdaptation);
        assign(spherical, spherical.mul(ofSphere));
        assign(source, source.mul(ofSphere).mul(ofStep));
        assign(outcome, before.and(hit).or(before.not().and(last)));
      },
    });
    const kinds = Array.from({ length: steps }, (_, k) => (k + 1) % updateStatsEveryK).flatMap((rest) =>
      rest === 0 ? [STEP_BEFORE, SPHERE] : [STEP],
    );
    await rounds.run(kinds.length, [kinds as number[]], [START, 1]);
  }
}
