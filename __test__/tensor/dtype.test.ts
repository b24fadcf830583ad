// Bytes of values.
import { expect, it } from "vitest";
import { sameBytes } from "../../src/tensor/dtype.js";

it("bytes are the same where each is, wherever they lie in memory", () => {
  /** Bytes 1, 2, 3 and so on, at an offset in memory that holds other numbers. */
  const placed = (length: number, offset: number): Uint8Array => {
    const memory = new Uint8Array(40).fill(offset + 100);
    memory.set(
      Array.from({ length }, (_, i) => i + 1),
      offset,
    );
    return memory.subarray(offset, offset + length);
  };
  for (let length = 0; length < 24; length++) {
    for (const [at, other] of [
      [0, 0],
      [4, 8],
      [1, 1],
      [0, 3],
    ] as const) {
      const [one, two] = [placed(length, at), placed(length, other)];
      expect(sameBytes(one, two)).toBe(true);
      expect(sameBytes(one, placed(length + 1, other))).toBe(false);
      for (let i = 0; i < length; i++) {
        two[i] = 0;
        expect(sameBytes(one, two), `${length} bytes at ${at} and ${other}, another at ${i}`).toBe(false);
        two[i] = i + 1;
      }
    }
  }
});
