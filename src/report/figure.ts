// The figure of the notebook: original, adversarial and their difference, a row an image, with certificate and distance.
import { certify } from "../certify/index.js";
import type { Classifier } from "../data/dataset.js";
import { describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { knownOptions, type Names } from "../options.js";
import { Tensor } from "../tensor/index.js";
import { composeFigure, type Shape } from "./compose.js";
import { type AdversarialFigure, figureOf } from "./node/save.js";
import type { FigureContent } from "./svg.js";

export interface AdversarialFigureOptions {
  /** Gives the predicted classes and, where `certificates` is absent, the certificates. */
  model: Classifier & Parameters<typeof certify>[0];
  /** Originals `[n, 1 or 3, height, width]`, pixels in `bounds`. */
  images: Tensor;
  /** What the attack made of them, of the same shape. */
  adversarials: Tensor;
  classNames: readonly string[];
  /** Certificates of `images`, as `certify` gives them. */
  certificates?: readonly { radius: number }[];
  /** Distances as the attack gives them (Infinity where it failed). Default: the L2 norms of the differences. */
  distances?: ArrayLike<number>;
  /** Darkest and lightest pixel value. Default: [0, 1]. */
  bounds?: readonly [number, number];
}

const OPTIONS: Names<AdversarialFigureOptions> = {
  model: true,
  images: true,
  adversarials: true,
  classNames: true,
  certificates: true,
  distances: true,
  bounds: true,
};

/**
 * The figure of an attack: for each image the original titled with its predicted class, the adversarial titled with its own, and
 * their difference divided by its maximum, red where the attack took light away and green where it added, titled
 * `certif: x, obs: y` with the certified radius and the distance found.
 * Nothing is computed before `toSvg` or `save`; certificates of a network that is not Lipschitz are shown as "none".
 * @throws TslipError SHAPE_MISMATCH or INVALID_ARGUMENT where the parts do not fit together.
 */
export function adversarialFigure(options: AdversarialFigureOptions): AdversarialFigure {
  const shape = checkParts(knownOptions("adversarialFigure", OPTIONS, options));
  return figureOf(() => onCurrentDevice(() => gather(options, shape)));
}

function checkParts(options: AdversarialFigureOptions): Shape {
  const { model, images, adversarials, classNames, certificates, distances, bounds } = options;
  const refuse = (message: string): never => {
    throw new TslipError("INVALID_ARGUMENT", message);
  };
  if (typeof model?.classify !== "function") refuse(`model must be a Module; given ${describe(model)}`);
  for (const [name, given] of Object.entries({ images, adversarials })) {
    if (!((given as unknown) instanceof Tensor)) {
      refuse(`${name} must be a tensor [n, 1 or 3, height, width]; given ${describe(given)}`);
    }
  }
  if (!Array.isArray(classNames)) refuse(`classNames must be an array of names; given ${describe(classNames)}`);
  const [count, channels, height, width, ...more] = images.shape;
  if (!count || (channels !== 1 && channels !== 3) || !height || !width || more.length > 0) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `images have shape [${images.shape.join(", ")}]; expected [n, 1 or 3, height, width] with n from 1`,
      { shapes: [[...images.shape]] },
    );
  }
  const same = adversarials.shape.length === 4 && adversarials.shape.every((size, axis) => size === images.shape[axis]);
  if (!same) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `adversarials have shape [${adversarials.shape.join(", ")}], images [${images.shape.join(", ")}]; expected the same`,
      { shapes: [[...adversarials.shape], [...images.shape]] },
    );
  }
  for (const [name, list] of Object.entries({ certificates, distances })) {
    if (list !== undefined && list?.length !== count) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `${name} must have an entry for each of ${count} images; given ${describe(list)}`,
      );
    }
  }
  if (bounds !== undefined && !(Number.isFinite(bounds[1] - bounds[0]) && bounds[0] < bounds[1])) {
    throw new TslipError("INVALID_ARGUMENT", `bounds must be [lowest, highest]; given ${describe(bounds)}`);
  }
  return [count, channels, height, width];
}

async function gather(options: AdversarialFigureOptions, shape: Shape): Promise<FigureContent> {
  const { model, images, adversarials, certificates, bounds: [low, high] = [0, 1] } = options;
  // Copies: what is given may change while models are asked.
  const classNames = [...options.classNames];
  const distances = options.distances && Array.from(options.distances);
  const given = certificates?.map(({ radius }) => radius);
  const radii = given ?? (await certificatesOf(model, images))?.map(({ radius }) => radius);
  return composeFigure({
    shape,
    before: await pixelsOf(images, "images"),
    after: await pixelsOf(adversarials, "adversarials"),
    predicted: await model.classify(images),
    predictedAfter: await model.classify(adversarials),
    classNames,
    radii,
    distances,
    bounds: [low, high],
  });
}

/** A network without a Lipschitz bound has no certificates; the rest of the figure stands. */
async function certificatesOf(
  model: AdversarialFigureOptions["model"],
  images: Tensor,
): Promise<readonly { radius: number }[] | undefined> {
  try {
    return await certify(model, images);
  } catch (error) {
    if (error instanceof TslipError && error.code === "NOT_LIPSCHITZ") return undefined;
    throw error;
  }
}

async function pixelsOf(images: Tensor, name: string): Promise<Float32Array> {
  const pixels = Float32Array.from(await images.data());
  const at = pixels.findIndex((pixel) => !Number.isFinite(pixel));
  if (at >= 0) throw new TslipError("NON_FINITE", `${name} have a pixel that is ${pixels[at]} (element ${at})`);
  return pixels;
}
