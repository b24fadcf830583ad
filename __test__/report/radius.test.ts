// Radii as people read them.
import fc from "fast-check";
import { formatRadius } from "tslip";
import { describe, expect, it } from "vitest";

describe("a printed radius", () => {
  it("is never above the proved one, and within a unit of its last decimal", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.integer({ min: 0, max: 6 }), (radius, decimals) => {
        const shown = Number(formatRadius(radius, decimals));
        expect(shown).toBeLessThanOrEqual(radius);
        expect(radius - shown).toBeLessThanOrEqual(10 ** -decimals * (1 + 1e-6));
      }),
      { numRuns: 2000 },
    );
    expect(formatRadius(0.2386)).toBe("0.238");
    expect(formatRadius(Number.POSITIVE_INFINITY)).toBe("Infinity");
  });
});
