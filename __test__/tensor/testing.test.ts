// What docs/testing.md says of tensors in tests.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { full, tensor } from "tslip";
import { expect, it } from "vitest";
import { close } from "./testers.js";

it("shows the testers as they are run here", () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
  expect(read("../../docs/testing.md")).toContain(`\`\`\`ts\n${read("testers.ts")}\`\`\``);
});

it("tensors are compared by value, whatever expression they come from", () => {
  expect(tensor([1]).add(1)).toEqual(tensor([2]));
  expect({ all: [full([2], 3)] }).toEqual({ all: [tensor([3, 3])] });
  expect(tensor([1]).add(1)).not.toEqual(tensor([3]));
  expect(tensor([2])).not.toEqual(tensor([[2]]));
  expect(tensor(Int32Array.of(2))).not.toEqual(tensor([2]));
  expect(tensor([2])).not.toEqual(2);
});

it("and with a tolerance", () => {
  expect(tensor([1, Number.NaN])).toBeCloseToTensor(tensor([1.000001, Number.NaN]));
  expect(tensor([1])).not.toBeCloseToTensor(tensor([1.001]));
  expect(tensor([1])).toBeCloseToTensor(tensor([1.001]), 0.01);
  const failing = (): void => expect(tensor([1])).toBeCloseToTensor(tensor([2]));
  expect(failing).toThrow("expected Value f32 [1] [1]\nto be close to Value f32 [1] [2]");
});

it("node:assert says what was compared", () => {
  const [a, b] = [tensor([1]), tensor([2])];
  expect(() => assert.ok(close(a, b), `${a} is not ${b}`)).toThrow("Value f32 [1] [1] is not Value f32 [1] [2]");
  assert.ok(close(a, b.sub(1)));
});
