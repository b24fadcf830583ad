// Promises and timers that are not the host's own: test runners and libraries replace both.
import {
  certify,
  compile,
  datasets,
  fit,
  fromArrays,
  Linear,
  loop,
  MSELoss,
  SGD,
  SpectralLinear,
  state,
  tensor,
} from "tslip";
import { afterEach, expect, it, vi } from "vitest";
import { SUBSET_FOLDER } from "../train/subset.js";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const x = tensor([[1, 2]]);

/** What a user calls, alone and several at once. */
async function everything(): Promise<void> {
  const layer = new SpectralLinear(2, 2);
  const large = new Linear(300, 300);
  const wide = tensor(new Float32Array(300 * 400), [400, 300]);
  expect((await layer.predict(x)).shape).toEqual([1, 2]);
  expect((await large.predict(wide)).shape).toEqual([400, 300]);
  expect(await Promise.all([1, 2, 3].map(() => layer.predict(x)))).toHaveLength(3);
  expect(await layer.classify(x)).toHaveLength(1);
  expect(await Promise.all([1, 2, 3].map(() => certify(layer, x)))).toHaveLength(3);
  expect((await compile((y: typeof x) => y.add(1))(x)).shape).toEqual([1, 2]);
  expect((await x.add(layer.weight).data()).length).toBe(4);
  const count = state(tensor([0]));
  await loop(() => count.assign(count.add(1)), { steps: 3 });
  const data = fromArrays(new Float32Array(8), [4, 2], { data: new Float32Array(8), shape: [4, 2] });
  const options = { epochs: 1, batchSize: 2, loss: new MSELoss(), optimizer: new SGD({ lr: 0.1 }) };
  await fit(layer, data, { ...options, device: "cpu", verbose: false });
  await expect(layer.predict(tensor([[1, 2, 3]]))).rejects.toMatchObject({ name: "TslipError" });
}

it("works where another class of promises has taken the place of the host's", async () => {
  vi.stubGlobal("Promise", class Patched<T> extends Promise<T> {});
  await everything();
});

it("works where timers do not run", async () => {
  vi.useFakeTimers();
  await everything();
  await datasets.fashionMnist({ dir: SUBSET_FOLDER });
});
