// Outputs by themselves: one logit, several labels, intervals; known values, what rounding takes off, and that nothing leaves them.
import {
  Adam,
  certify,
  certifyBinary,
  certifyLabels,
  fit,
  fromArrays,
  GroupSort2,
  Linear,
  Module,
  MSELoss,
  manualSeed,
  outputBounds,
  type Rounding,
  randn,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  Tanh,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { farthest, pushed } from "../robust/pushed.js";
import { codeOf } from "../train/subset.js";

/** A linear layer with these weights. */
function linear(weight: number[][], bias?: number[]): Linear {
  const values = { weight: tensor(weight), bias: bias === undefined ? undefined : tensor(bias) };
  return new Linear(weight[0]?.length ?? 0, weight.length, { bias: bias !== undefined }, values);
}

/** The first value of each sample, `[n]`. */
class First extends Module {
  forward(x: Tensor): Tensor {
    return x.slice([0, 0], [x.shape[0] ?? 0, 1]).reshape([-1]);
  }
  override lipschitzBound(): number {
    return 1;
  }
  override rounding(): Rounding {
    return { roundings: 0, offset: 0 };
  }
}

describe("certifyBinary", () => {
  it("gives the side of 0 and |f| / L, which is the distance to where a linear model changes it", async () => {
    const x = tensor([
      [1, 2],
      [-1, -2],
      [0, 0],
      [2, -1.5],
    ]);
    const certificates = await certifyBinary(linear([[3, 4]]), x);
    expect(certificates.map(({ predicted }) => predicted)).toEqual([1, 0, 0, 0]);
    expect(certificates.map(({ logit }) => logit)).toEqual([11, -11, 0, 0]);
    certificates.forEach(({ logit, radius, lipschitz }) => {
      expect(lipschitz).toBeGreaterThanOrEqual(5);
      expect(lipschitz).toBeLessThan(5 + 1e-9);
      expect(radius).toBeLessThanOrEqual(Math.abs(logit) / 5);
      expect(radius).toBeGreaterThanOrEqual((Math.abs(logit) / 5) * (1 - 1e-4));
    });
  });

  it("has a larger radius than two logits made of the one, and takes logits [n]", async () => {
    manualSeed(2);
    const score = new Sequential([new SpectralLinear(6, 8), new GroupSort2(), new SpectralLinear(8, 1)]);
    const x = randn([20, 6], { seed: 4 });
    const found = await certifyBinary(score, x);
    const two = await certify(new Sequential([score, linear([[-1], [1]])], { constrained: false }), x);
    found.forEach(({ predicted, logit, radius }, i) => {
      expect(two[i]).toMatchObject({ predicted, margin: 2 * Math.abs(logit) });
      expect(radius).toBeGreaterThanOrEqual(two[i]?.radius ?? Number.NaN);
      expect(radius).toBeLessThan((two[i]?.radius ?? Number.NaN) + 1e-5);
    });
    const flat = new Sequential([score, new First()], { constrained: false });
    expect((await certifyBinary(flat, x)).map(({ logit }) => logit)).toEqual(found.map(({ logit }) => logit));
    // What has been proved is kept.
    expect(await certifyBinary(score, x)).toEqual(found);
  });

  it("leaves no radius where a bias swallows the input", async () => {
    // 1e8 is a multiple of 8, its neighbours are 8 apart: 4.1 and -3.9 are told as 8 and 0.
    const model = new Sequential([linear([[1]], [1e8]), linear([[1]], [-1e8])], { constrained: false });
    const [certificate] = await certifyBinary(model, tensor([[4.1]]));
    expect(certificate).toMatchObject({ predicted: 1, logit: 8, radius: 0 });
    const [near] = await certifyBinary(model, tensor([[3.9]]));
    expect(near).toMatchObject({ predicted: 0, logit: 0, radius: 0 });
  });

  it("refuses other outputs, with where to go", async () => {
    const refused = certifyBinary(linear([[1], [2]]), tensor([[1]]));
    expect(await codeOf(() => refused)).toBe("SHAPE_MISMATCH");
    await expect(refused).rejects.toThrow(
      /certifyBinary needs one logit a sample.*certify\(\).*certifyLabels\(\).*\[1, 2\]/,
    );
  });
});

describe("certifyLabels", () => {
  it("certifies each label by its own row, and all of them within the least radius", async () => {
    const x = tensor([
      [1, 1],
      [-1, 0.5],
    ]);
    const rows = [
      [3, 4],
      [0.1, 0],
      [0, -2],
    ];
    const certificates = await certifyLabels(linear(rows, [0, 1, 0.5]), x);
    expect(certificates.map(({ predicted }) => predicted)).toEqual([
      [1, 1, 0],
      [0, 1, 0],
    ]);
    certificates.forEach(({ logits, radii, radius, lipschitz }) => {
      rows.forEach((row, i) => {
        const norm = Math.hypot(...row.map(Math.fround));
        expect(lipschitz[i]).toBeCloseTo(norm, 6);
        const exact = Math.abs(logits[i] ?? Number.NaN) / norm;
        expect(radii[i]).toBeLessThanOrEqual(exact * (1 + 1e-12));
        expect(radii[i]).toBeGreaterThanOrEqual(exact * (1 - 1e-4));
      });
      expect(radius).toBe(Math.min(...radii));
    });
  });

  it("no label changes within its radius, and beyond it one does where the model is linear", async () => {
    const model = linear([
      [3, 4],
      [1, -1],
    ]);
    const x = randn([30, 2], { seed: 9 });
    const certificates = await certifyLabels(model, x);
    for (const [label, row] of [
      [0, [3, 4]],
      [1, [1, -1]],
    ] as const) {
      for (const [times, keeps] of [
        [0.9999, true],
        [1.001, false],
      ] as const) {
        const values = Float32Array.from(x.dataSync());
        certificates.forEach(({ logits, radii }, i) => {
          const length = ((radii[label] ?? 0) * times) / Math.hypot(...row);
          row.forEach((w, j) => {
            values[2 * i + j] = (values[2 * i + j] ?? 0) - Math.sign(logits[label] ?? 0) * length * w;
          });
        });
        const moved = (await model.predict(tensor(values, [30, 2]))).held();
        certificates.forEach(({ predicted }, i) => {
          expect((moved[2 * i + label] ?? 0) > 0 === (predicted[label] === 1)).toBe(keeps);
        });
      }
    }
  });

  it("takes rows of logits alone", async () => {
    expect(await codeOf(() => certifyLabels(new First(), tensor([[1, 2]])))).toBe("SHAPE_MISMATCH");
    await expect(certifyLabels(new First(), tensor([[1, 2]]))).rejects.toThrow(/a logit for each label, \[n, labels\]/);
  });
});

describe("outputBounds", () => {
  it("is f ± L radius, rounded outward, by the norm of each row", async () => {
    const [found] = await outputBounds(
      linear(
        [
          [3, 4],
          [0, 0.5],
        ],
        [1, 2],
      ),
      tensor([[1, 1]]),
      { radius: 0.5 },
    );
    expect(found?.outputs).toEqual([8, 2.5]);
    for (const [i, [low, high]] of [
      [5.5, 10.5],
      [2.25, 2.75],
    ].entries()) {
      expect(found?.lower[i]).toBeLessThan(low ?? 0);
      expect(found?.lower[i]).toBeGreaterThan((low ?? 0) - 1e-4);
      expect(found?.upper[i]).toBeGreaterThan(high ?? 0);
      expect(found?.upper[i]).toBeLessThan((high ?? 0) + 1e-4);
    }
  });

  it("holds what float32 makes of a linear model in the directions of its rows, also where a bias swallows digits", async () => {
    for (const bias of [0, 1, 1e4, 1e8]) {
      const weight = Array.from(randn([3, 5], { seed: 5 }).dataSync());
      const rows = [0, 1, 2].map((i) => weight.slice(5 * i, 5 * i + 5));
      const model = linear(rows, [bias, -bias, bias]);
      const x = randn([8, 5], { seed: 6 });
      for (const radius of [0, 1e-3, 1, 100]) {
        const found = await outputBounds(model, x, { radius });
        for (const row of rows) {
          for (const sign of [-1, 0, 1]) {
            const length = (sign * radius * (1 - 1e-6)) / Math.hypot(...row);
            const moved = Float32Array.from(x.dataSync(), (value, k) => value + length * (row[k % 5] ?? 0));
            const outputs = (await model.predict(tensor(moved, [8, 5]))).held();
            if (farthest(tensor(moved, [8, 5]), x) > radius) continue;
            found.forEach(({ lower, upper }, i) => {
              lower.forEach((low, j) => {
                const output = outputs[3 * i + j] ?? Number.NaN;
                expect(output).toBeGreaterThanOrEqual(low);
                expect(output).toBeLessThanOrEqual(upper[j] ?? Number.NaN);
              });
            });
          }
        }
      }
    }
  });

  it("is never left by gradient steps on a regression that was trained, and they come near its ends", async () => {
    manualSeed(7);
    const model = new Sequential([
      new SpectralLinear(2, 16),
      new GroupSort2(),
      new SpectralLinear(16, 16),
      new GroupSort2(),
      new SpectralLinear(16, 1),
    ]);
    const x = randn([64, 2], { seed: 1 });
    const targets = Array.from({ length: 64 }, (_, i) => {
      const [a = 0, b = 0] = x.dataSync().subarray(2 * i, 2 * i + 2);
      return [Math.abs(a) - 0.5 * b];
    });
    const data = fromArrays(Float32Array.from(x.dataSync()), [64, 2], targets);
    const optimizer = new Adam({ lr: 0.02 });
    await fit(model, data, { epochs: 40, batchSize: 16, loss: new MSELoss(), optimizer, verbose: false });
    const network = model.vanillaExport();
    let [nearest, widest] = [0, 0];
    for (const radius of [0.05, 0.5, 2]) {
      const found = await outputBounds(model, x, { radius });
      for (const sign of [1, -1]) {
        const at = await pushed(network, x, radius, (outputs) => outputs.mul(sign));
        expect(farthest(at, x)).toBeLessThanOrEqual(radius);
        const outputs = (await network.predict(at)).held();
        found.forEach(({ outputs: [own = 0], lower: [low = 0], upper: [high = 0] }, i) => {
          expect(outputs[i]).toBeGreaterThanOrEqual(low);
          expect(outputs[i]).toBeLessThanOrEqual(high);
          nearest = Math.max(nearest, Math.abs((outputs[i] ?? 0) - own) / (high - own));
          widest = Math.max(widest, high - low);
        });
      }
    }
    expect(nearest).toBeGreaterThan(0.9);
    expect(widest).toBeLessThan(4 + 1e-2);
  });

  it("has outputs of any shape, in row-major order, of bytes as of what they are divided by 255", async () => {
    manualSeed(3);
    const model = new Sequential([new SpectralConv2d(1, 2, { kernelSize: 3, padding: 1 })]);
    const bytes = Uint8Array.from({ length: 32 }, (_, i) => (37 * i) % 256);
    const images = tensor(bytes, [2, 1, 4, 4]);
    const radius = 0.25;
    const found = await outputBounds(model, images, { radius });
    const [values, L] = [(await model.predict(images)).held(), found[0]?.lipschitz ?? []];
    expect(found.map(({ outputs }) => outputs)).toEqual([
      Array.from(values.subarray(0, 32)),
      Array.from(values.subarray(32)),
    ]);
    found.forEach(({ outputs, lower, upper }) => {
      outputs.forEach((value, k) => {
        expect((upper[k] ?? 0) - value).toBeGreaterThan(radius * (L[k] ?? 0));
        expect(value - (lower[k] ?? 0)).toBeLessThan(radius * (L[k] ?? 0) + 1e-4);
      });
    });
    const floats = Float32Array.from(bytes, (byte) => byte / 255);
    const given = await outputBounds(model, tensor(floats, [2, 1, 4, 4]), { radius });
    // The rounding of the quotient counts.
    expect(given[0]?.upper[3]).toBeLessThan(found[0]?.upper[3] ?? 0);
  });

  it("knows nothing beyond where sums could overflow, nor of a layer without a bound that rows would tell", async () => {
    const model = linear([[1, 0]]);
    const [within] = await outputBounds(model, tensor([[1, 0]]), { radius: 1e37 });
    expect(within?.upper[0]).toBeLessThan(1.001e37);
    const [beyond] = await outputBounds(model, tensor([[1, 0]]), { radius: 1e39 });
    expect([beyond?.lower, beyond?.upper]).toEqual([[Number.NEGATIVE_INFINITY], [Number.POSITIVE_INFINITY]]);
    // A last layer that is not linear has the bound of all outputs together.
    const curved = new Sequential(
      [
        linear([
          [3, 0],
          [0, 1],
        ]),
        new Tanh(),
      ],
      { constrained: false },
    );
    const [tanh] = await outputBounds(curved, tensor([[0, 0]]), { radius: 1 });
    expect(tanh?.lipschitz.map((bound) => Math.round(bound * 1e6) / 1e6)).toEqual([3, 3]);
  });

  it("is the same for many samples, which take several turns, as for few", async () => {
    manualSeed(1);
    const model = new Sequential([new SpectralLinear(3, 4), new GroupSort2(), new SpectralLinear(4, 2)]);
    const samples = 9000;
    const x = randn([samples, 3], { seed: 2 });
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const many = await outputBounds(model, x, { radius: 0.1 });
    clearInterval(timer);
    expect(many).toHaveLength(samples);
    expect(turns).toBeGreaterThan(0);
    for (const start of [0, 4000, 8990]) {
      const few = await outputBounds(model, x.slice([start, 0], [start + 10, 3]), { radius: 0.1 });
      few.forEach((one, i) => {
        expect(many[start + i]?.upper[1]).toBeCloseTo(one.upper[1] ?? Number.NaN, 5);
      });
    }
  });

  it("refuses what is no radius, no model, no sample and no number", async () => {
    const model = linear([[1, 0]]);
    const x = tensor([[1, 0]]);
    for (const radius of [-1, Number.NaN, Number.POSITIVE_INFINITY, "1" as never, undefined as never]) {
      expect(await codeOf(() => outputBounds(model, x, { radius }))).toBe("INVALID_ARGUMENT");
    }
    await expect(outputBounds(model, x, { radius: 1, eps: 1 } as never)).rejects.toThrow(
      /outputBounds has no option "eps"/,
    );
    expect(await codeOf(() => outputBounds({} as Module, x, { radius: 1 }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(() => outputBounds(model, zeros([0, 2]), { radius: 1 }))).toBe("EMPTY_DATASET");
    expect(await codeOf(() => outputBounds(model, [[1, Number.NaN]], { radius: 1 }))).toBe("NON_FINITE");
    const huge = new Sequential([linear([[3e38, 3e38]])], { constrained: false });
    await expect(outputBounds(huge, tensor([[2, 2]]), { radius: 1 })).rejects.toThrow(
      /output 0 of sample 0 is Infinity/,
    );
    expect(await codeOf(() => certifyBinary(huge, tensor([[2, 2]])))).toBe("NON_FINITE");
    const unbounded = new (class extends Module {
      forward(given: Tensor): Tensor {
        return given.mul(2);
      }
    })();
    expect(await codeOf(() => outputBounds(unbounded, x, { radius: 1 }))).toBe("NOT_LIPSCHITZ");
  });
});
