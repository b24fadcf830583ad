// Float images that look like bytes which nobody has divided by 255: said once, and of no others.
import { fromArrays, fromIdx } from "tslip";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { idxBytes } from "./idx-bytes.js";

const SIDE = 8;
const PIXELS = SIDE * SIDE;
const warn = vi.spyOn(process, "emitWarning");
beforeEach(() => {
  warn.mockReset().mockImplementation(() => undefined);
  vi.resetModules();
});

/** Two images of `of(k)`, k being the place of the value among both. */
const images = (of: (k: number) => number): Float32Array => Float32Array.from({ length: 2 * PIXELS }, (_, k) => of(k));
const bytes = images((k) => (k * 37) % 256);

describe("float images are remarked on", () => {
  /** The rule as a process meets it that has not said anything yet. */
  const said = async (pixels: Float32Array, samples: number): Promise<boolean> => {
    const { remarkOnScale } = await import("../../src/scale.js");
    remarkOnScale("a data set", pixels, samples);
    return warn.mock.calls.length > 0;
  };
  test.each([
    ["bytes", bytes, 2, true],
    ["bright bytes", images(() => 255), 2, true],
    ["dark images with one bright pixel", images((k) => (k === 99 ? 128 : 3)), 2, true],
    ["bytes divided by 255", bytes.map((byte) => byte / 255), 2, false],
    ["black and white in 0 and 1", images((k) => k % 2), 2, false],
    ["bytes around 0", bytes.map((byte) => byte - 128), 2, false],
    ["normalized images", bytes.map((byte) => (byte / 255 - 0.1307) / 0.3081), 2, false],
    ["levels up to 16", images((k) => k % 17), 2, false],
    ["whole numbers beyond bytes", images((k) => k * 4), 2, false],
    ["measurements", bytes.map((byte) => byte + 0.25), 2, false],
    ["rows of a table", bytes, 2 * SIDE, false],
  ] as const)("%s", async (_, pixels, samples, expected) => {
    expect(await said(pixels, samples)).toBe(expected);
  });
});

test("a data set says so where it is made, once, with what to do, and keeps them as they are", async () => {
  const shape = [2, 1, SIDE, SIDE];
  fromArrays(Uint8Array.from(bytes), shape, [0, 1]);
  fromArrays(
    bytes.map((byte) => byte / 255),
    shape,
    [0, 1],
  );
  expect(warn).not.toHaveBeenCalled();

  const set = fromArrays(bytes, shape, [0, 1]);
  expect(warn).toHaveBeenCalledOnce();
  const [message, options] = warn.mock.calls[0] as unknown as [string, { code: string }];
  expect(message).toMatch(/^a data set was given float images .* 0 to 255.*give a Uint8Array.*or divide them$/);
  expect(options).toEqual({ type: "TslipWarning", code: "IMAGE_SCALE" });
  expect(set.imagesRaw).toEqual(bytes);

  set.subset([1]);
  const swapped = new DataView(new ArrayBuffer(bytes.byteLength));
  bytes.forEach((value, k) => {
    swapped.setFloat32(4 * k, value);
  });
  await fromIdx(idxBytes(0x0d, [2, SIDE, SIDE], new Uint8Array(swapped.buffer)), idxBytes(8, [2], [0, 1]));
  expect(warn).toHaveBeenCalledOnce();
});

test.each(["attack", "audit", "standardSuite", "robustAccuracy"] as const)(
  "bounds of u8 images that no byte has are remarked on by %s",
  async (who) => {
    const { audit, L2FastGradientAttack, Linear, fromArrays, robustAccuracy, standardSuite, tensor } = await import(
      "../../src/index.js"
    );
    const model = new Linear(2, 2, {}, { weight: tensor([1, 0, 0, 1], [2, 2]), bias: tensor([0, 0]) });
    const pair = tensor(Uint8Array.of(200, 10, 20, 90), [2, 2]);
    const [attacks, labels] = [[new L2FastGradientAttack()], [0, 1]];
    const calls = {
      attack: (more: object) => new L2FastGradientAttack().run(model, pair, labels, { ...more, epsilons: [0.5] }),
      audit: (more: object) => audit(model, pair, labels, { attacks, ...more }),
      standardSuite: (more: object) => standardSuite(model, pair, labels, { attacks, ...more }),
      robustAccuracy: (more: object) =>
        robustAccuracy(model, fromArrays(Uint8Array.of(200, 10, 20, 90), [2, 2], labels), [0.1], { attacks, ...more }),
    };
    for (const bounds of [undefined, [0, 1], [0, 0.9]] as const)
      await calls[who](bounds === undefined ? {} : { bounds });
    expect(warn).not.toHaveBeenCalled();
    for (let time = 0; time < 2; time++) await calls[who]({ bounds: [0, 255] });
    expect(warn).toHaveBeenCalledOnce();
    expect(warn.mock.calls[0]?.[0]).toMatch(/^bounds \[0, 255\] allow what is no image: .* divided by 255/);
  },
);
