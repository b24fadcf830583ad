// What holds for every attack of the library, by the examples of `examples.ts`; two files share them, that they run at once.
import {
  certify,
  Generator,
  GroupSort2,
  L0,
  L2,
  Linear,
  Module,
  manualSeed,
  ReLU,
  randn,
  Sequential,
  SpectralLinear,
  state,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it, vi } from "vitest";
import { Best } from "../../src/attacks/attack.js";
import { criterion } from "../../src/attacks/criterion.js";
import * as attacks from "../../src/attacks/index.js";
import { assign } from "../../src/tensor/index.js";
import type { cases } from "./examples.js";
import { CLASSES, FEATURES, problem } from "./linear.js";

/** Images of [0, 1], some pixels of which are on their bounds, and a network that tells them apart by curved borders. */
function network(): { model: Sequential; images: Tensor; labels: Int32Array } {
  manualSeed(4);
  const model = new Sequential([new Linear(FEATURES, 12), new ReLU(), new Linear(12, CLASSES)], { constrained: false });
  const images = randn([20, FEATURES], { seed: 6 }).mul(0.6).add(0.5).clip(0, 1);
  return { model, images, labels: model.predictSync(images).argmax(1).dataSync() as Int32Array };
}

/** What holds for these examples of attacks. */
export function everyAttack(given: typeof cases): void {
  describe.each(given)("$type, example $which", ({ type, make, weak, straight, within, near, place }) => {
    it("comes near the distance of a linear classifier, and never below it", async () => {
      const { model, images, labels, nearest } = problem(make().norm.name);
      const { distances, success, clipped } = await make().run(model, images, labels, { bounds: [-3, 3] });
      if (!weak) expect(success.every(Boolean)).toBe(true);
      nearest.forEach((distance, i) => {
        expect(distances[i]).toBeGreaterThan(distance * (1 - 1e-5));
        if (!weak) expect(distances[i]).toBeLessThan(distance * near + 2e-3);
      });
      const classes = await model.classify(clipped);
      expect([...classes].map((c, i) => c !== labels[i])).toEqual(success);
    });

    it("finds for an image alone the bits that it finds among others, those that nothing moves included", async () => {
      const { model, images, labels } = problem();
      const all = await make().run(model, images, labels, { bounds: [0, 1] });
      const values = images.dataSync();
      for (const n of [0, 5, 11]) {
        const one = tensor(Float32Array.from(values.slice(n * FEATURES, (n + 1) * FEATURES)), [1, FEATURES]);
        const alone = await make().run(model, one, [labels[n] ?? 0], { bounds: [0, 1] });
        expect(alone.distances[0]).toBe(all.distances[n]);
        expect([...alone.clipped.dataSync()]).toEqual([
          ...all.clipped.dataSync().slice(n * FEATURES, (n + 1) * FEATURES),
        ]);
      }
      // A class that no image of the box has: the second image cannot be moved there, the first finds its way all the same.
      class Walled extends Module {
        forward(x: Tensor): Tensor {
          const side = x.slice([0, 0], [x.shape[0] ?? 0, 1]);
          const wall = x.slice([0, 1], [x.shape[0] ?? 0, 2]).mul(100);
          return side.neg().add(0.5).add(wall).concat(side.sub(0.5), 1);
        }
      }
      const pair = tensor([
        [0.4, 0],
        [0.4, 1],
      ]);
      const easy = await make().run(new Walled(), tensor([[0.4, 0]]), [0]);
      const both = await make().run(new Walled(), pair, [0, 0]);
      if (!weak && !straight) expect(easy.success).toEqual([true]);
      expect(both.success[0]).toBe(easy.success[0]);
      expect(both.distances[0]).toBe(easy.distances[0]);
    });

    it("takes pixels on bounds that are no float32 numbers, and moves them", async () => {
      const { model, images } = problem();
      const bounds = [(0 - 0.1307) / 0.3081, (1 - 0.1307) / 0.3081] as const;
      for (const bound of bounds) expect(Math.fround(bound)).not.toBe(bound);
      const [low, high] = bounds.map(Math.fround) as [number, number];
      // One pixel of each image is on the lower bound, or on the upper one.
      const pixels = images
        .dataSync()
        .map((value, k) => (k % (2 * FEATURES) === 0 ? low : k % FEATURES ? value : high));
      const on = tensor(pixels, images.shape);
      const { raw, success } = await make().run(model, on, await model.classify(on), { bounds });
      if (!weak) expect(success.filter(Boolean).length).toBeGreaterThan(0);
      for (const value of raw.dataSync()) {
        expect(value).toBeGreaterThanOrEqual(low);
        expect(value).toBeLessThanOrEqual(high);
      }
    });

    it("refuses bounds that are not finite, in float32 either, by what they must be", async () => {
      const { model, images, labels } = problem();
      for (const bounds of [
        [-Infinity, Infinity],
        [0, Infinity],
        [-1e39, 1],
        [0, 1e39],
        [Number.NaN, 1],
      ] as const) {
        await expect(make().run(model, images, labels, { bounds })).rejects.toThrow(
          `bounds must be [low, high], finite in float32, with low < high; given [${bounds.join(", ")}]`,
        );
      }
    });

    it("leaves an image that is misclassified already as it is, at distance 0", async () => {
      const { model, images, labels } = problem();
      const wrong = labels.map((label, i) => (i % 2 ? (label + 1) % CLASSES : label));
      const { distances, clipped } = await make().run(model, images, wrong);
      expect(distances[1]).toBe(0);
      expect([...clipped.dataSync().slice(FEATURES, 2 * FEATURES)]).toEqual([
        ...images.dataSync().slice(FEATURES, 2 * FEATURES),
      ]);
      expect(distances[0]).toBeGreaterThan(0);
    });

    it("reaches the classes that are asked for", async () => {
      const { model, images, labels } = problem();
      const targets = labels.map((label) => (label + 1) % CLASSES);
      const { success, clipped } = await make().run(model, images, labels, { targets, bounds: [-3, 3] });
      if (!weak) expect(success.every(Boolean)).toBe(true);
      expect([...(await model.classify(clipped))].map((c, i) => c === targets[i])).toEqual(success);
    });

    it("takes an epsilon for all images or one for each", async () => {
      const { model, images, labels } = problem();
      const { distances } = await make().run(model, images, labels);
      // Steps that are shares of an epsilon may have found what is nearer on their way to a larger one.
      const enough = within ? 2 : 1.01;
      const each = Float64Array.from(distances, (d, i) => (i % 2 ? d * enough : d * 0.5));
      const [whole, split] = await make().run(model, images, labels, { epsilons: [10, each] });
      if (!within) expect(whole?.distances).toEqual(distances);
      split?.success.forEach((success, i) => {
        if (!weak) expect(success).toBe(i % 2 === 1);
        if (success) expect(split.distances[i]).toBeLessThanOrEqual(each[i] ?? 0);
      });
      const [tight] = await make().run(model, images, labels, { epsilons: [distances.map((d) => d * (1 - 1e-7))] });
      tight?.distances.forEach((d, i) => {
        if (tight.success[i]) expect(d).toBeLessThan(distances[i] ?? 0);
      });
    });

    it("never comes nearer than a certificate", async () => {
      manualSeed(2);
      const model = new Sequential([
        new SpectralLinear(6, 16),
        new GroupSort2(),
        new SpectralLinear(16, 4),
      ]).vanillaExport();
      const images = randn([40, 6], { seed: 5 }).mul(0.3).clip(-1, 1);
      const labels = await model.classify(images);
      const certificates = await certify(model, images);
      const { raw, distances, success } = await make().run(model, images, labels, { bounds: [-1, 1] });
      if (!weak) expect(success.filter(Boolean).length).toBeGreaterThan(10);
      const [before, after] = [images.dataSync(), raw.dataSync()];
      certificates.forEach(({ radius }, i) => {
        // Certificates are of the L2 norm, by which others are measured here.
        const range = [i * 6, (i + 1) * 6] as const;
        const distance = L2.between(after.slice(...range), before.slice(...range));
        expect(success[i] ? distance : distances[i]).toBeGreaterThanOrEqual(radius);
      });
    });

    it("is exported under its own name", () => {
      const exported: Readonly<Record<string, unknown>> = attacks;
      expect(make().constructor).toBe(exported[type]);
    });

    it("gives the same bits twice, at once and one after the other", async () => {
      const { model, images, labels } = network();
      const run = () => make().run(model, images, labels);
      const attack = make();
      const results = [...(await Promise.all([run(), run()])), await attack.run(model, images, labels)];
      await attack.run(model, images.mul(0.5), labels);
      results.push(await attack.run(model, images, labels));
      for (const { raw, distances, success } of results) {
        expect(raw.dataSync()).toEqual(results[0]?.raw.dataSync());
        expect([distances, success]).toEqual([results[0]?.distances, results[0]?.success]);
      }
    });

    it("is never worse than the nearest image that its search offers", async () => {
      const { model, images, labels } = network();
      const attack = make();
      const wanted = criterion(state(tensor(labels), { batched: true }), false, attack.confidence);
      const infinite = tensor(new Float32Array(labels.length).fill(Number.POSITIVE_INFINITY));
      const nearest = state(infinite, { batched: true });
      const { offer } = Best.prototype;
      const spy = vi.spyOn(Best.prototype, "offer").mockImplementation(function (this: Best, moved, logits, allowed) {
        const hit = allowed === undefined ? wanted.met(logits) : wanted.met(logits).and(allowed);
        const distances = attack.norm.distance(moved.sub(this.originals));
        assign(nearest, hit.and(distances.less(nearest)).where(distances, nearest));
        return offer.call(this, moved, logits, allowed);
      });
      const { distances, raw } = await attack.run(model, images, labels).finally(() => spy.mockRestore());
      const offered = await nearest.data();
      if (!weak) expect(offered.filter(Number.isFinite).length).toBeGreaterThan(5);
      const [before, after] = [images.dataSync(), raw.dataSync()];
      distances.forEach((distance, i) => {
        // The frame measures in float64.
        expect(distance).toBeLessThanOrEqual((offered[i] ?? 0) * (1 + 1e-6));
        const range = [i * FEATURES, (i + 1) * FEATURES] as const;
        const measured = attack.norm.between(after.slice(...range), before.slice(...range));
        expect(distance).toBe(measured === 0 ? Number.POSITIVE_INFINITY : measured);
      });
    });

    it("gives the original, at distance Infinity, where it fails", async () => {
      const { images, labels } = network();
      /** Class 0 whatever is done. */
      class Constant extends Module {
        forward(x: Tensor): Tensor {
          const one = x.slice([0, 0], [x.shape[0] ?? 0, 1]).mul(0);
          return one.add(1).concat(one, 1);
        }
      }
      const zeros = labels.map(() => 0);
      for (const more of [{}, { targets: labels.map(() => 1) }]) {
        const [failed] = await make().run(new Constant(), images, zeros, { epsilons: [10], ...more });
        expect(failed?.success.some(Boolean)).toBe(false);
        expect([...(failed?.distances ?? [])]).toEqual(new Array(labels.length).fill(Number.POSITIVE_INFINITY));
        expect(failed?.raw.dataSync()).toEqual(images.dataSync());
        expect(failed?.clipped.dataSync()).toEqual(images.dataSync());
      }
    });

    it("stays within bounds of any width, pixels that rounding would carry out of them included", async () => {
      // Other bounds, images and networks for each of the examples.
      const generator = new Generator({ seed: place });
      for (let trial = 0; trial < 4; trial++) {
        const [from = 0, width = 0] = await generator.uniform([2]).data();
        const [low, high] = [3 * from - 2, 3 * from - 1.95 + 2 * width];
        const pixels = await generator.uniform([32, FEATURES]).mul(1.2).sub(0.1).clip(0, 1).data();
        const images = tensor(
          pixels.map((u) => low + (high - low) * u),
          [32, FEATURES],
        ).clip(low, high);
        const model = new Linear(
          FEATURES,
          CLASSES,
          {},
          {
            weight: generator.normal([CLASSES, FEATURES]),
            bias: generator.normal([CLASSES]).mul(3),
          },
        );
        const { raw, clipped } = await make().run(model, images, await model.classify(images), { bounds: [low, high] });
        for (const value of [...raw.dataSync(), ...clipped.dataSync()]) {
          expect(value).toBeGreaterThanOrEqual(Math.fround(low));
          expect(value).toBeLessThanOrEqual(Math.fround(high));
        }
      }
    });

    it("evaluates the model, and leaves all of it in the mode that it was in", async () => {
      const { model, images, labels } = network();
      /** Another function in training mode. */
      class Moody extends Module {
        readonly inner = model;
        forward(x: Tensor): Tensor {
          return this.inner.forward(this.training ? x.neg() : x);
        }
      }
      const moody = new Moody().train();
      model.layers[1]?.eval();
      const modes = (): boolean[] => moody.modules().map((module) => module.training);
      const before = modes();
      expect(new Set(before).size).toBe(2);
      const { raw, distances } = await make().run(moody, images, labels);
      expect(modes()).toEqual(before);
      const evaluated = await make().run(model.eval(), images, labels);
      expect(raw.dataSync()).toEqual(evaluated.raw.dataSync());
      expect(distances).toEqual(evaluated.distances);
    });

    it("moves images whose logits are equal", async () => {
      const model = new Linear(
        2,
        2,
        {},
        {
          weight: tensor([
            [1, 0],
            [0, 1],
          ]),
          bias: tensor([0, 0]),
        },
      );
      const { success, distances } = await make().run(
        model,
        tensor([
          [0.5, 0.5],
          [0.25, 0.25],
        ]),
        [0, 0],
      );
      if (weak) return;
      expect(success).toEqual([true, true]);
      expect(Math.max(...distances)).toBeLessThan(make().norm === L0 ? 2 : 0.1);
    });
  });
}
