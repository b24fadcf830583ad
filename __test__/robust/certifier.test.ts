// Certifier: a model with the options that it is certified by.
import {
  ABSTAIN,
  Certifier,
  certify,
  GroupSort2,
  guard,
  type Module,
  manualSeed,
  randn,
  Sequential,
  SpectralLinear,
} from "tslip";
import { expect, it } from "vitest";
import { codeOf } from "../train/subset.js";

manualSeed(4);
const model = new Sequential([new SpectralLinear(3, 6), new GroupSort2(), new SpectralLinear(6, 4)]);
const x = randn([40, 3], { seed: 1 });

it("certifies by its options, by the weights of each call", async () => {
  const certifier = new Certifier(model, { head: "generic" });
  const before = await certifier.certify(x);
  expect(before).toEqual(await certify(model, x, { head: "generic" }));
  expect(before).not.toEqual(await new Certifier(model).certify(x));
  const [weight] = model.parameters();
  weight?.assign(randn(weight.shape, { seed: 9 }));
  expect(await certifier.certify(x)).toEqual(await certify(model, x, { head: "generic" }));
  expect(await certifier.certify(x)).not.toEqual(before);
});

it("answers many calls of one image as one call of all", async () => {
  const certifier = new Certifier(model);
  const all = await certifier.certify(x);
  const each = await Promise.all(all.map((_, i) => certifier.certify(x.slice([i], [i + 1]))));
  expect(each.flat()).toEqual(all);
});

it("guards by its options", async () => {
  const generic = new Certifier(model, { head: "generic" });
  const certificates = [await generic.certify(x), await certify(model, x)] as const;
  // A radius between those of both heads for the image where they are furthest apart.
  const gaps = certificates[0].map((one, i) => (certificates[1][i]?.radius ?? 0) - one.radius);
  const at = gaps.indexOf(Math.max(...gaps));
  const radius = (certificates[0][at]?.radius ?? 0) + (gaps[at] ?? 0) / 2;
  expect(gaps[at]).toBeGreaterThan(0);
  expect((await generic.guard({ radius })(x))[at]).toBe(ABSTAIN);
  expect((await guard(model, { radius })(x))[at]).toBe(certificates[1][at]?.predicted);
  expect(await new Certifier(model).guard({ radius })(x)).toEqual(await guard(model, { radius })(x));
});

it("refuses what is no model and no option when it is made", async () => {
  expect(await codeOf(async () => new Certifier({} as Module))).toBe("INVALID_ARGUMENT");
  expect(await codeOf(async () => new Certifier(model, { head: "best" as never }))).toBe("INVALID_ARGUMENT");
  expect(await codeOf(async () => new Certifier(model, { radius: 1 } as never))).toBe("INVALID_ARGUMENT");
  expect(await codeOf(async () => new Certifier(model).guard({ radius: -1 }))).toBe("INVALID_ARGUMENT");
});
