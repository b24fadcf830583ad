// Progress: a bar on a terminal, plain lines elsewhere.
import { Writable } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { createProgress } from "../../src/node/progress.js";

function sink(more: object = {}) {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      written.push(String(chunk));
      done();
    },
  });
  return { stream: Object.assign(stream, more), written };
}

describe("createProgress", () => {
  test("elsewhere than on a terminal writes whole lines without control characters, few of them, the last at the end", () => {
    const { stream, written } = sink();
    const progress = createProgress({ label: "attack", total: 10_000, stream });
    for (let step = 0; step <= 10_000; step += 1) progress.update(step, `loss ${step}`);
    progress.stop();
    expect(written.length).toBeLessThanOrEqual(11);
    expect(written.at(-1)).toBe("attack: 100 % (10000 / 10000) loss 10000\n");
    for (const line of written) expect(line).toMatch(/^attack: \d+ % \(\d+ \/ 10000\) loss \d+\n$/);
  });

  test("writes a line for each tenth of slow work", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const { stream, written } = sink();
      const progress = createProgress({ label: "fit", total: 100, stream, format: (value) => `${value} steps` });
      for (let step = 1; step <= 100; step += 1) {
        vi.advanceTimersByTime(1000);
        progress.update(step);
      }
      expect(written.length).toBe(10);
      expect(written[0]).toBe("fit: 10 % (10 steps / 100 steps)\n");
    } finally {
      vi.useRealTimers();
    }
  });

  test("writes nothing after stop, and the end only once", () => {
    const { stream, written } = sink();
    const progress = createProgress({ label: "fit", total: 1, stream });
    progress.update(1);
    progress.update(1);
    progress.stop();
    progress.stop();
    progress.update(0.5);
    expect(written).toEqual(["fit: 100 % (1 / 1)\n"]);
  });

  test("on a terminal draws one bar in place, with label, figures and text", () => {
    const terminal = { isTTY: true, columns: 120, cursorTo: () => true, moveCursor: () => true, clearLine: () => true };
    const { stream, written } = sink(terminal);
    const progress = createProgress({ label: "fit", total: 4, stream });
    progress.update(3, "loss 1.5");
    progress.stop();
    progress.update(4);
    const all = written.join("");
    expect(all).toContain("fit ");
    expect(all).toContain("75 % | 3 / 4");
    expect(all).toContain("loss 1.5");
    expect(all).not.toContain("4 / 4");
  });
});
