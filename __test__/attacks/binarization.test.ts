// The refinement of adversarials of models that tell pixels by a threshold alone: what it makes, asks and refuses.
import {
  BinarizationRefinementAttack,
  type BinarizationRefinementOptions,
  BlackBox,
  DatasetAttack,
  L1,
  L2DeepFoolAttack,
  Linf,
  Module,
  PointwiseAttack,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { problem } from "./linear.js";

/** Class 1 where two or more of the pixels are above a threshold, or on it where that counts. */
class Binary extends Module {
  constructor(
    readonly threshold: number,
    readonly counts = true,
  ) {
    super();
  }
  forward(x: Tensor): Tensor {
    const above = this.counts ? x.greaterEqual(this.threshold) : x.greater(this.threshold);
    const lead = above.cast("f32").sum(1, { keepdims: true }).sub(1.5);
    return lead.neg().concat(lead, 1);
  }
}

const image = tensor([[0.75, 0.25, 0.125, 0.375]]);
const start = tensor([[0.625, 1, 0, 0.875]]);
/** Of class 1, and what is of class 0. */
const [bright, dark] = [tensor([[0.75, 0.625, 0.125]]), tensor([[0, 0.875, 0.25]])];

describe("pixels on their image's side of the threshold are set back, others go next to it", () => {
  it.each<[string, BinarizationRefinementOptions, Binary, number[], number[]]>([
    ["which counts as above", {}, new Binary(0.5), [0.75, 0.5, 0.125, 0.5], [0.5 - 2 ** -25, 0.625, 0.125]],
    [
      "which counts as below",
      { includedIn: "lower" },
      new Binary(0.5, false),
      [0.75, 0.5 + 2 ** -24, 0.125, 0.5 + 2 ** -24],
      [0.5, 0.625, 0.125],
    ],
    [
      "and is where it is given",
      { threshold: 0.4375, distance: Linf },
      new Binary(0.4375),
      [0.75, 0.4375, 0.125, 0.4375],
      [0.4375 - 2 ** -25, 0.625, 0.125],
    ],
  ])("%s", async (_, options, model, up, down) => {
    for (const [from, startingPoints, label, expected] of [
      [image, start, 0, up],
      [bright, dark, 1, down],
    ] as const) {
      const attack = new BinarizationRefinementAttack({ startingPoints, ...options });
      const { raw, success, distances, queries } = await attack.run(model, from, [label]);
      expect(success).toEqual([true]);
      expect([...raw.dataSync()]).toEqual(expected);
      expect(distances[0]).toBe(attack.norm.between(expected, from.dataSync()));
      // The image, and what was made of the start.
      expect(queries).toEqual([2]);
    }
  });

  it("on either side of 0, the middle of other bounds, by numbers that no device takes for 0", async () => {
    for (const [includedIn, expected] of [
      ["upper", [-(2 ** -126), 0.5]],
      ["lower", [0, 0.5]],
    ] as const) {
      const attack = new BinarizationRefinementAttack({ startingPoints: tensor([[-1, 0.25]]), includedIn });
      const model = new Binary(0, includedIn === "upper");
      const { raw } = await attack.run(model, tensor([[0.75, 0.5]]), [1], { bounds: [-1, 1] });
      expect([...raw.dataSync()]).toEqual(expected);
    }
  });
});

it("what another attack finds comes nearer, by one question more", async () => {
  const pool = (): DatasetAttack => new DatasetAttack({ seed: 1, distance: L1 }).feed(tensor([[1, 1, 1, 1]]));
  const far = await pool().run(new Binary(0.5), image, [0]);
  const near = await new BinarizationRefinementAttack({ distance: L1, initAttack: pool() }).run(
    new Binary(0.5),
    image,
    [0],
  );
  expect(far.distances[0]).toBe(0.25 + 0.75 + 0.875 + 0.625);
  expect(near.distances[0]).toBe(0.25 + 0.375 + 0.125);
  expect(near.queries?.[0]).toBe((far.queries?.[0] ?? 0) + 1);
  const pointwise = new PointwiseAttack({ seed: 1, l2BinarySearch: false, distance: L1 });
  const fewer = await new BinarizationRefinementAttack({ distance: L1, initAttack: pointwise }).run(
    new Binary(0.5),
    image,
    [0],
  );
  expect(fewer.distances[0]).toBeLessThanOrEqual(0.375);
});

it("a black box is asked the same", async () => {
  const model = new Binary(0.5);
  const box = new BlackBox(
    async (values, shape) => Array.from(await model.classify(tensor(Float32Array.from(values), [...shape]))),
    { shape: [4], classes: 2 },
  );
  const attack = new BinarizationRefinementAttack({ startingPoints: start });
  const [ours, theirs] = [await attack.run(model, image, [0]), await attack.run(box, image, [0])];
  expect(theirs.raw.dataSync()).toEqual(ours.raw.dataSync());
  expect(theirs.queries).toEqual(ours.queries);
});

it("points that are given are what is found where the model goes by more than a threshold; those of the label are nothing", async () => {
  const { model, images, labels } = problem();
  const { raw, success, distances } = await new L2DeepFoolAttack().run(model, images, labels);
  expect(success.filter(Boolean).length).toBeGreaterThan(3);
  const refined = await new BinarizationRefinementAttack({ startingPoints: raw }).run(model, images, labels);
  expect(refined.success).toEqual(success);
  success.forEach((fooled, i) => {
    if (fooled) expect(refined.distances[i]).toBeLessThanOrEqual(distances[i] ?? 0);
  });
  const none = await new BinarizationRefinementAttack({ startingPoints: image }).run(new Binary(0.5), image, [0]);
  expect([none.success, none.queries]).toEqual([[false], [3]]);
});

it("refuses starts of another shape, two of them, and thresholds beyond the bounds", async () => {
  const run = (options: BinarizationRefinementOptions) => () =>
    new BinarizationRefinementAttack(options).run(new Binary(0.5), image, [0]);
  await expect(run({ startingPoints: tensor([[1, 0]]) })()).rejects.toThrow(
    "startingPoints are [1,2], the images [1,4]; give one of the same shape for each image",
  );
  await expect(run({ threshold: 128 })()).rejects.toThrow(/threshold must be within the bounds \[0, 1\].*; given 128/);
  expect(await codeOf(run({ threshold: 128 }))).toBe("INVALID_ARGUMENT");
  for (const [options, message] of [
    [{ startingPoints: start, initAttack: new PointwiseAttack() }, /was given initAttack and startingPoints; give one/],
    [{ initAttack: new L2DeepFoolAttack() }, /initAttack must be an attack that asks alone/],
    [{ threshold: Number.NaN }, /threshold must be finite in float32; given NaN/],
    [{ includedIn: "both" }, /includedIn must be "lower" or "upper"; given "both"/],
    [{ included_in: "upper" }, /has no option "included_in"; did you mean "includedIn"/],
  ] as const) {
    expect(() => new BinarizationRefinementAttack(options as BinarizationRefinementOptions)).toThrow(message);
  }
});
