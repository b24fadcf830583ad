// The networks that certificates are tried on: a list of kinds of bodies, each of which is followed by classes that are hard to tell apart.
import {
  AvgPool2d,
  Concat,
  Conv1d,
  Conv2d,
  ConvexPotentialConv2d,
  ConvexPotentialLinear,
  ConvTranspose2d,
  Flatten,
  FullSort,
  GroupSort,
  GroupSort2,
  HouseHolder,
  Identity,
  InvertibleDownSampling,
  InvertibleUpSampling,
  LayerCentering,
  Linear,
  LipResidual,
  LPReLU,
  MaxMin,
  MaxPool2d,
  type Module,
  Normalize,
  ReLU,
  ScaleBiasLayer,
  ScaledAdaptiveAvgPool2d,
  ScaledAdaptiveL2NormPool2d,
  ScaledAvgPool2d,
  ScaledL2NormPool2d,
  Sequential,
  Sigmoid,
  Softmax,
  Tanh,
  type Tensor,
  tensor,
  Unflatten,
} from "tslip";
import { type Draw, offsets, samples, weights } from "./draw.js";

type Shape = readonly number[];

/** What layers are drawn by. */
interface Recipe {
  readonly draw: Draw;
  /** Of weights, and of what enters and leaves layers. */
  readonly weight: number;
  readonly value: number;
}

/** A kind of network. */
interface Kind {
  readonly name: string;
  /** Shapes of samples. */
  readonly shapes: readonly Shape[];
  /** What stands in front of the classes. */
  body(recipe: Recipe, shape: Shape): Module[];
  /** Samples are bytes. */
  readonly bytes?: true;
}

/** A network with images to certify. */
export interface Subject {
  readonly kind: string;
  readonly model: Sequential;
  /** What the classes are computed of, where a linear layer does. */
  readonly body: Sequential | undefined;
  readonly sample: Shape;
  readonly images: Float32Array | Uint8Array;
}

const VECTORS: readonly Shape[] = [[2], [3], [5], [8]];
/** For layers that take channels in pairs. */
const EVEN: readonly Shape[] = [[2], [4], [6]];
const SEQUENCES: readonly Shape[] = [
  [1, 5],
  [2, 4],
];
const IMAGES: readonly Shape[] = [
  [1, 4, 4],
  [2, 3, 4],
  [2, 4, 2],
];
/** Padding modes copy at most as many pixels as there are. */
const SQUARE: readonly Shape[] = [
  [1, 4, 4],
  [2, 4, 4],
];

const PADDING_MODES = ["zeros", "circular", "reflect", "replicate", "symmetric"] as const;

/** Each layer that rounds in a way of its own, see docs/certificates.md. A new one is one more line. */
export const KINDS: readonly Kind[] = [
  { name: "linear", shapes: [[1], ...VECTORS, [12]], body: () => [] },
  { name: "bytes", shapes: [[3], [1, 2, 2]], body: ({ draw }) => [new Flatten()].slice(draw.whole(0, 1)), bytes: true },
  { name: "dense", shapes: VECTORS, body: (recipe, shape) => [dense(recipe, shape), activation(recipe)] },
  {
    name: "deep",
    shapes: VECTORS,
    body: (recipe, shape) => [
      dense(recipe, shape, 4),
      new GroupSort2(),
      dense(recipe, [4], 6),
      activation(recipe),
      dense(recipe, [6], 4),
      new GroupSort2(),
    ],
  },
  ...PADDING_MODES.map(
    (paddingMode): Kind => ({
      name: `Conv2d-${paddingMode}`,
      shapes: SQUARE,
      body: (recipe, [channels = 1]) => {
        const { draw } = recipe;
        const groups = draw.one([1, channels]);
        const out = groups * draw.whole(1, 2);
        const kernel = draw.whole(1, 3);
        const options = {
          kernelSize: kernel,
          stride: draw.whole(1, 2),
          padding: draw.whole(0, kernel - 1),
          dilation: kernel === 2 ? draw.whole(1, 2) : 1,
          groups,
          paddingMode,
        };
        const values = affine(recipe, [out, channels / groups, kernel, kernel], out);
        return [new Conv2d(channels, out, options, values), activation(recipe)];
      },
    }),
  ),
  {
    name: "Conv1d",
    shapes: SEQUENCES,
    body: (recipe, [channels = 1]) => {
      const paddingMode = recipe.draw.one(PADDING_MODES);
      const options = { kernelSize: 3, padding: 1, stride: recipe.draw.whole(1, 2), paddingMode };
      return [new Conv1d(channels, 2, options, affine(recipe, [2, channels, 3], 2)), new GroupSort2()];
    },
  },
  {
    name: "ConvTranspose2d",
    shapes: [
      [1, 2, 2],
      [2, 2, 2],
    ],
    body: (recipe, [channels = 1]) => {
      const options = { kernelSize: recipe.draw.whole(2, 3), stride: recipe.draw.whole(1, 2) };
      const values = affine(recipe, [channels, 2, options.kernelSize, options.kernelSize], 2);
      return [new ConvTranspose2d(channels, 2, options, values), new GroupSort2()];
    },
  },
  {
    name: "ConvexPotentialLinear",
    shapes: VECTORS,
    body: (recipe, [features = 1]) => {
      const values = affine(recipe, [3, features], 3);
      return [new ConvexPotentialLinear(features, 3, { kCoefLip: recipe.draw.one([1, 0.7]) }, values)];
    },
  },
  {
    name: "ConvexPotentialConv2d",
    shapes: SQUARE,
    body: (recipe, [channels = 1]) => {
      const paddingMode = recipe.draw.one(["zeros", "circular"] as const);
      const kernelSize = recipe.draw.whole(1, 3);
      const values = affine(recipe, [2, channels, kernelSize, kernelSize], 2);
      return [new ConvexPotentialConv2d(channels, 2, { kernelSize, paddingMode }, values)];
    },
  },
  {
    name: "ScaledL2NormPool2d",
    shapes: IMAGES,
    body: ({ draw }) => [
      new ScaledL2NormPool2d({ kernelSize: 2, stride: draw.whole(1, 2), padding: draw.whole(0, 1) }),
    ],
  },
  {
    name: "ScaledAdaptiveL2NormPool2d",
    shapes: IMAGES,
    body: ({ draw }) => [new ScaledAdaptiveL2NormPool2d({ outputSize: draw.whole(1, 3) })],
  },
  {
    name: "ScaledAvgPool2d",
    shapes: IMAGES,
    body: ({ draw }) => [new ScaledAvgPool2d({ kernelSize: 2, stride: draw.whole(1, 2), padding: draw.whole(0, 1) })],
  },
  {
    name: "ScaledAdaptiveAvgPool2d",
    shapes: IMAGES,
    body: ({ draw }) => [new ScaledAdaptiveAvgPool2d({ outputSize: draw.whole(1, 3) })],
  },
  {
    name: "AvgPool2d",
    shapes: IMAGES,
    body: ({ draw }) => {
      const options = { kernelSize: 2, stride: draw.whole(1, 2), padding: 1, countIncludePad: draw.chance(0.5) };
      return [new AvgPool2d(options)];
    },
  },
  {
    name: "MaxPool2d",
    shapes: SQUARE,
    body: ({ draw }) => [
      new MaxPool2d({ kernelSize: 2, stride: draw.whole(1, 2), padding: draw.whole(0, 1), dilation: draw.whole(1, 2) }),
    ],
  },
  {
    name: "InvertibleDownSampling",
    shapes: SQUARE,
    body: (recipe) => [new InvertibleDownSampling({ kernelSize: 2, kCoefLip: scale(recipe) }), new GroupSort(4)],
  },
  {
    name: "InvertibleUpSampling",
    shapes: [[4, 1, 2]],
    body: (recipe) => [new InvertibleUpSampling({ kernelSize: 2, kCoefLip: scale(recipe) }), new ReLU()],
  },
  {
    name: "Unflatten",
    shapes: [[8], [16]],
    body: () => [new Unflatten(1, [2, 2, -1]), new ScaledL2NormPool2d({ kernelSize: 2 })],
  },
  { name: "ReLU", shapes: VECTORS, body: () => [new ReLU()] },
  {
    name: "GroupSort",
    shapes: EVEN,
    body: (recipe, [features = 2]) => [new GroupSort(recipe.draw.one([2, features]), { kCoefLip: scale(recipe) })],
  },
  { name: "FullSort", shapes: VECTORS, body: (recipe) => [new FullSort({ kCoefLip: scale(recipe) })] },
  { name: "MaxMin", shapes: VECTORS, body: (recipe) => [new MaxMin({ kCoefLip: scale(recipe) })] },
  {
    name: "LPReLU",
    shapes: VECTORS,
    body: ({ draw }, [features = 1]) => {
      const weight = tensor(draw.normals(features), [features]);
      return [new LPReLU({ numParameters: features, kCoefLip: draw.one([1, 0.3, 2]) }, { weight })];
    },
  },
  {
    name: "HouseHolder",
    shapes: EVEN,
    body: (recipe, [features = 2]) => {
      const theta = recipe.draw.normals(features / 2).map((angle) => angle * recipe.draw.one([1, 5, 3000]));
      const values = {
        theta: tensor(
          theta.map((angle) => Math.min(Math.max(angle, -8000), 8000)),
          [features / 2],
        ),
      };
      return [new HouseHolder(features, { kCoefLip: scale(recipe) }, values)];
    },
  },
  { name: "Sigmoid", shapes: VECTORS, body: (recipe, shape) => [dense(recipe, shape), new Sigmoid()] },
  { name: "Tanh", shapes: VECTORS, body: (recipe, shape) => [dense(recipe, shape), new Tanh()] },
  { name: "Softmax", shapes: VECTORS, body: (recipe, shape) => [dense(recipe, shape), new Softmax()] },
  {
    name: "LayerCentering",
    shapes: IMAGES,
    body: (recipe, [channels = 1]) => [
      new LayerCentering(channels, {}, { bias: tensor(offsets(recipe.draw, channels, recipe.value), [channels]) }),
    ],
  },
  {
    name: "ScaleBiasLayer",
    shapes: VECTORS,
    body: (recipe, [features = 1]) => {
      const scalar = Math.fround(recipe.draw.normal());
      const bias = tensor(offsets(recipe.draw, features, recipe.value), [features]);
      return [new ScaleBiasLayer(scalar, features, {}, { scalar: tensor(scalar), bias })];
    },
  },
  {
    name: "Normalize",
    shapes: IMAGES,
    body: ({ draw, value }, [channels = 1]) => {
      const each = (of: () => number): number[] => Array.from({ length: channels }, of);
      return [
        new Normalize(
          each(() => value * draw.normal()),
          each(() => draw.power(-3, 3)),
        ),
      ];
    },
  },
  {
    name: "LipResidual",
    shapes: VECTORS,
    body: (recipe, [features = 1]) => {
      const branch = new Sequential([dense(recipe, [features], features), activation(recipe)], { constrained: false });
      const options = { kCoefLip: recipe.draw.one([1, 2]), constrained: false };
      return [new LipResidual(branch, options, { alpha: tensor(3 * recipe.draw.normal()) })];
    },
  },
  {
    name: "Concat",
    shapes: VECTORS,
    body: (recipe, shape) => {
      const branch = recipe.draw.one([new Identity(), new ReLU(), new MaxMin()]);
      return [new Concat([dense(recipe, shape), branch], { constrained: false })];
    },
  },
];

function dense(recipe: Recipe, [features = 1]: Shape, results = 4): Linear {
  return new Linear(features, results, {}, affine(recipe, [results, features], results));
}

/** One that keeps shapes, of four channels or any. */
function activation({ draw }: Recipe): Module {
  return draw.one([() => new ReLU(), () => new FullSort(), () => new Identity(), () => new LPReLU()])();
}

const scale = ({ draw }: Recipe): number => draw.one([1, 1, 0.3, 1.7]);

function affine({ draw, weight, value }: Recipe, shape: Shape, results: number): { weight: Tensor; bias: Tensor } {
  const [rows = 1, ...rest] = shape;
  const columns = rest.reduce((a, b) => a * b, 1);
  return {
    weight: tensor(weights(draw, rows, columns, weight), shape),
    bias: tensor(offsets(draw, results, weight * value), [results]),
  };
}

/** Networks whose classes are values of the body. */
const WITHOUT_HEAD = 0.15;

/** A network of a kind with so many images. */
export async function subject({ name, shapes, body, bytes }: Kind, draw: Draw, count: number): Promise<Subject> {
  const sample = draw.one(shapes);
  const size = sample.reduce((a, b) => a * b, 1);
  // Scales that are far from 1, but for bytes.
  const far = (most: number): number => (draw.chance(0.6) ? 1 : draw.power(-most, most));
  const recipe: Recipe = { draw, weight: far(bytes ? 6 : 12), value: bytes ? 1 : far(16) };
  const images = bytes
    ? Uint8Array.from({ length: count * size }, () => draw.whole(0, 255))
    : samples(draw, count, size, draw.one([1, 1, 1, 1e-30, 1e30]) ** Number(draw.chance(0.1)) * recipe.value);
  const layers = body(recipe, sample);
  const before = new Sequential([...layers, new Flatten()], { constrained: false }).eval();
  const features = await before.predict(tensor(images, [count, ...sample]));
  const width = features.shape[1] ?? 0;
  const headless = width >= 2 && width <= 6 && draw.chance(WITHOUT_HEAD);
  if (headless && layers.length > 0) return { kind: name, model: before, body: undefined, sample, images };
  const classes = draw.whole(2, 4);
  const values = head(recipe, classes, width, features.held());
  const model = new Sequential([...before.layers, new Linear(width, classes, {}, values)], { constrained: false });
  return { kind: name, model: model.eval(), body: before, sample, images };
}

/** A last layer, which often tells the classes of the first image by their last digits alone: from one unit in the last place to a million. */
function head(recipe: Recipe, classes: number, width: number, features: ArrayLike<number>) {
  const { draw, weight: size } = recipe;
  const weight = weights(draw, classes, width, size);
  const logits = Float64Array.from({ length: classes }, (_, c) =>
    weight.subarray(c * width, (c + 1) * width).reduce((sum, value, j) => sum + value * (features[j] ?? 0), 0),
  );
  const most = logits.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const [level, units] = [most * draw.one([0.5, 2, 2, 50]), draw.power(0, 6)];
  const bias = draw.chance(0.5)
    ? offsets(draw, classes, most)
    : Float32Array.from(logits, (value) => level * (1 + units * draw.normal() * 2 ** -24) - value);
  return { weight: tensor(weight, [classes, width]), bias: tensor(bias, [classes]) };
}
