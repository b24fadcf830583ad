// What is made of measurements.
import { describe, expect, it, vi } from "vitest";
import { milliseconds, table } from "../../benches/table.js";
import { spreadOf, timed, timedSync } from "../../benches/timing.js";

describe("measurements", () => {
  it("have the middle one, or the mean of the two in the middle, as median", () => {
    expect(spreadOf([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5, samples: 3 });
    expect(spreadOf([10, 1, 4, 2])).toEqual({ median: 3, min: 1, max: 10, samples: 4 });
  });

  it("are as many as were asked for, without those that warm up", async () => {
    let calls = 0;
    const count = (): void => {
      calls += 1;
    };
    expect(await timed(count, { repeats: 5, warmUp: 2 })).toHaveLength(3);
    expect(timedSync(count, { repeats: 4, warmUp: 1 })).toHaveLength(3);
    expect(calls).toBe(9);
  });

  it("end after a second of warm-up and five that count where each takes long, but not before there is one", () => {
    const timesOf = (ms: number): number => {
      let now = 0;
      const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
      const times = timedSync(
        () => {
          now += ms;
        },
        { repeats: 100, warmUp: 10 },
      );
      clock.mockRestore();
      expect(now).toBe(ms * (times.length + Math.min(10, Math.ceil(1000 / ms))));
      return times.length;
    };
    expect([1, 700, 60_000].map(timesOf)).toEqual([90, 8, 1]);
  });

  it("wait for what is measured to end", async () => {
    const [ms = 0] = await timed(() => new Promise((resolve) => setTimeout(resolve, 20)), { repeats: 1, warmUp: 0 });
    // Timers may fire a millisecond early.
    expect(ms).toBeGreaterThan(18);
  });
});

describe("a table", () => {
  it("has columns as wide as their widest cell, numbers to the right", () => {
    expect(
      table(
        ["work", "ms"],
        [
          ["a", "10.25"],
          ["longer", "3"],
        ],
      ).split("\n"),
    ).toEqual(["work       ms", "------  -----", "a       10.25", "longer      3"]);
  });

  it("shows milliseconds with three significant digits or more", () => {
    expect([0.04321, 1.2345, 99.994, 217.25].map(milliseconds)).toEqual(["0.0432", "1.23", "99.99", "217.3"]);
  });
});
