// HouseHolder: pairs of channels are reflected where they lie on one side of a learnt line (Singla et al. 2022).
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { coefficient, type Option, type Options, whole } from "../../options.js";
import { full, randn } from "../../tensor/create.js";
import { Parameter } from "../../tensor/state.js";
import type { Tensor } from "../../tensor/tensor.js";
import { outsideTrace } from "../../tensor/trace.js";
import { alongChannels, checkChannels, checkCount } from "../channels.js";
import { type Definition, optionsOf } from "../definition.js";
import { DIRECTION_ERROR, direction, LARGEST_ANGLE } from "../direction.js";
import { LipschitzModule, scaled } from "../lipschitz.js";
import { atOnce, type Proof, type Proving, provedNow, settled } from "../proof.js";
import type { Rounding } from "../rounding.js";
import type { ActivationOptions } from "../scaled.js";
import { snapshot } from "../snapshot.js";

const INITIALIZERS = ["zeros", "ones", "normal"] as const;
type Initializer = number | (typeof INITIALIZERS)[number];

const initializer: Option<Initializer> = {
  read(name, given = Math.PI / 2) {
    const known = INITIALIZERS.find((one) => one === given) ?? (Number.isFinite(given) ? (given as number) : undefined);
    if (known !== undefined) return known;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be an angle in radians, "zeros", "ones" or "normal"; given ${describe(given)}`,
    );
  },
};

const even: Option<number> = {
  read(name, given) {
    const channels = whole(2).read(name, given);
    if (channels % 2 === 0) return channels;
    throw new TslipError("INVALID_ARGUMENT", `${name} must be even, as channels are taken in pairs; given ${channels}`);
  },
};

const definition = {
  type: "HouseHolder",
  positional: ["channels"],
  schema: { channels: even, thetaInitializer: initializer, kCoefLip: coefficient },
  weight: (options: Readonly<Record<string, unknown>>) => ({
    key: "theta",
    shape: [(options["channels"] as number) / 2],
  }),
} satisfies Definition;

/** Options of {@link HouseHolder}. */
export interface HouseHolderOptions extends ActivationOptions {
  /** What the angles start from, in radians; by default pi / 2. */
  thetaInitializer?: Initializer;
}

/**
 * Of `channels` channels (axis 1) each of the first half makes a pair z with its counterpart in the second half: k (z - 2 relu(v·z) v)
 * with v = (sin(theta / 2), -cos(theta / 2)), that is z itself or its mirror image in the line across v, on which both agree. It
 * keeps norms, times k = `kCoefLip`, which torchlip ignores.
 */
export class HouseHolder extends LipschitzModule implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly theta: Parameter;

  constructor(
    readonly channels: number,
    options?: HouseHolderOptions,
    values?: { theta: Tensor },
  ) {
    const all = optionsOf(definition, [channels], options);
    super(all.kCoefLip);
    this.options = all;
    const theta = values?.theta ?? outsideTrace(() => initial(all.thetaInitializer, channels / 2));
    checkCount("theta of a HouseHolder", theta, channels / 2);
    this.theta = new Parameter(theta, { name: "theta" });
  }

  forward(x: Tensor): Tensor {
    const { channels } = this.options;
    checkChannels("HouseHolder", x, channels);
    const half = channels / 2;
    const { cosine, sine } = direction(this.theta.mul(0.5));
    const [a, b] = [alongChannels(sine, half, x), alongChannels(cosine, half, x)];
    const z = scaled(x, this.kCoefLip);
    const [first, second] = [z.slice([0, 0], [x.shape[0] ?? 0, half]), z.slice([0, half])];
    const twice = first.mul(a).sub(second.mul(b)).relu().mul(2);
    return first.sub(twice.mul(a)).concat(second.add(twice.mul(b)), 1);
  }

  /** An isometry on each side of a line, continuous across it: exactly `kCoefLip`. */
  lipschitzBound(): number {
    return this.kCoefLip;
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  override rounding(): Rounding {
    return provedNow(this.roundingProof());
  }

  /** Where angles are so large that nothing is known of their sines, it throws `UNSUPPORTED`. */
  roundingProof(): Proof<Rounding> {
    // A scale; v·z by 2 units, twice; the product with v by 2, the difference by 1; v itself, which is used four times.
    const fact = { roundings: 1 + 4 + 2 + 1 + 4 * DIRECTION_ERROR + 4, offset: 0, peak: 2 * this.kCoefLip };
    const known = (theta: ArrayLike<number>): Rounding => {
      checkSize(theta);
      return fact;
    };
    return { from: [this.theta], follows: (theta = new Float32Array()) => atOnce(() => known(theta)) };
  }

  /** The same with the angles of now. */
  vanillaExport(): HouseHolder {
    const { kCoefLip, options, theta } = this;
    const { channels, ...others } = options;
    return snapshot(() => new HouseHolder(channels, { ...others, kCoefLip }, { theta }));
  }
}

function initial(given: Initializer, pairs: number): Tensor {
  if (given === "normal") return randn([pairs]);
  return full([pairs], given === "zeros" ? 0 : given === "ones" ? 1 : given);
}

function checkSize(theta: ArrayLike<number>): void {
  const at = Array.from(theta).findIndex((angle) => !(Math.abs(angle) <= LARGEST_ANGLE));
  if (at < 0) return;
  throw new TslipError(
    "UNSUPPORTED",
    `theta[${at}] of a HouseHolder is ${theta[at]}: rounding is bounded for angles up to ${LARGEST_ANGLE} radians; take it modulo 2 pi`,
  );
}
