// Passes of the pointwise attack, of which images of a batch need different numbers.
import { Linear, manualSeed, PointwiseAttack, ReLU, rand, Sequential } from "tslip";
import { expect, it } from "vitest";

function problem() {
  manualSeed(3);
  const model = new Sequential([new Linear(16, 12), new ReLU(), new Linear(12, 3)], { constrained: false });
  const images = rand([8, 16], { seed: 5 });
  return { model, images };
}

it("an image that needs fewer passes than others finds what it finds alone", async () => {
  const { model, images } = problem();
  const labels = await model.classify(images);
  const together = await new PointwiseAttack({ seed: 1 }).run(model, images, labels);
  for (let n = 0; n < 8; n++) {
    const alone = await new PointwiseAttack({ seed: 1 }).run(model, images.slice([n], [n + 1]), [labels[n] ?? 0]);
    expect(alone.distances[0]).toBe(together.distances[n]);
  }
});

it("a search that cannot say how much there is to do tells that all of it is done", async () => {
  const { model, images } = problem();
  const labels = await model.classify(images);
  for (const maxQueries of [40, undefined]) {
    const shares: number[] = [];
    const more = maxQueries === undefined ? {} : { maxQueries };
    await new PointwiseAttack({ seed: 1, ...more }).run(model, images, labels, {
      onProgress: (share) => void shares.push(share),
    });
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.filter((share) => share === 1)).toHaveLength(1);
  }
});
