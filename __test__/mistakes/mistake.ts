// Mistakes as they are made in plain JavaScript: each ends in a typed error that says what was given and what to do, or works.
import * as tslip from "tslip";
import { expect, it } from "vitest";

/** A type as JavaScript has it: whatever is called takes anything. */
type Loose<T> =
  T extends Promise<infer R>
    ? Promise<Loose<R>>
    : T extends abstract new (
          ...args: never[]
        ) => infer R
      ? new (
          ...args: unknown[]
        ) => Loose<R>
      : T extends (...args: never[]) => infer R
        ? (...args: unknown[]) => Loose<R>
        : T extends object
          ? { [K in keyof T]: Loose<T[K]> }
          : T;

/** The library, as a caller without types sees it. */
export const js = tslip as unknown as Loose<typeof tslip>;

/** What a mistake ends in: a code and what the message says, or a value. */
type End = readonly [tslip.ErrorCode, RegExp] | { readonly works: unknown };

/** A name, what makes the mistake, and what it ends in. */
export type Mistake = readonly [name: string, make: () => unknown, end: End];

const LONGEST = 400;

/** Tests each of them. */
export function each(mistakes: readonly Mistake[]): void {
  it.each(mistakes)("%s", async (_, make, end) => {
    const outcome = await (async () => await make())().then(
      (works: unknown) => ({ works }),
      (error: unknown) => ({ error }),
    );
    if (!Array.isArray(end)) return expect(outcome).toEqual(end);
    const [code, says] = end as readonly [tslip.ErrorCode, RegExp];
    expect(outcome).toEqual({ error: expect.any(tslip.TslipError) });
    const { error } = outcome as { error: tslip.TslipError };
    expect(error).toMatchObject({ code, message: expect.stringMatching(says) });
    expect(error.message.length).toBeLessThanOrEqual(LONGEST);
    expect(error.message).not.toMatch(/\[object|\n/);
  });
}

/** A classifier of images [1, 8, 8]. */
export function convolutional(): tslip.Sequential {
  return new tslip.Sequential([
    new tslip.SpectralConv2d(1, 2, { kernelSize: 3, padding: 1 }),
    new tslip.GroupSort2(),
    new tslip.Flatten(),
    new tslip.SpectralLinear(128, 3),
  ]);
}

/** A classifier of 3 classes by 4 features. */
export function dense(): tslip.Sequential {
  return new tslip.Sequential([new tslip.SpectralLinear(4, 4), new tslip.GroupSort2(), new tslip.SpectralLinear(4, 3)]);
}

/** Six samples of 4 features and 3 classes. */
export function samples(): tslip.Dataset {
  return tslip.fromArrays(
    Float32Array.from({ length: 24 }, (_, i) => (i % 7) / 7),
    [6, 4],
    [0, 1, 2, 0, 1, 2],
  );
}
