// The nodes of a recorded function, as exporters see them.
import {
  Conv2d,
  compile,
  Flatten,
  Linear,
  Parameter,
  Sequential,
  scalar,
  state,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { expect, it } from "vitest";

it("are its ops with their operands before them, leaves told apart", async () => {
  const model = new Sequential(
    [new Conv2d(1, 2, { kernelSize: 3, padding: 1 }), new Flatten(), new Linear(8, 3, { bias: false })],
    { constrained: false },
  );
  const run = compile((x: Tensor, y: Tensor) => ({ logits: model.forward(x), shifted: y.add(tensor([1, 2, 3])) }));
  expect(() => run.graph()).toThrow(/call the compiled function first/);
  await run(zeros([5, 1, 2, 2]), zeros([3]));
  const { nodes, outputs, assigns } = run.graph();
  nodes.forEach(({ inputs }, i) => {
    expect(inputs.every((at) => at >= 0 && at < i)).toBe(true);
  });
  expect(assigns).toEqual([]);
  expect(outputs.map((at) => [nodes[at]?.op, nodes[at]?.shape])).toEqual([
    ["matmul", [5, 3]],
    ["add", [3]],
  ]);
  const convolution = nodes.find(({ op }) => op === "conv2d");
  expect(convolution?.attributes).toMatchObject({ stride: [1, 1], padding: [1, 1, 1, 1], groups: 1 });
  const [image = -1, weight = -1] = convolution?.inputs ?? [];
  expect(nodes[image]).toMatchObject({ op: "input", argument: 0, shape: [5, 1, 2, 2], dtype: "f32" });
  expect(nodes[weight]?.state).toBe(model.parameters()[0]);
  expect(nodes.filter((node) => node.state instanceof Parameter).map((node) => node.state?.name)).toEqual([
    "0.weight",
    "0.bias",
    "2.weight",
  ]);
  expect(nodes.filter(({ argument }) => argument === 1)).toHaveLength(1);
  expect(
    nodes.filter(({ constant }) => constant !== undefined).map(({ constant }) => [...(constant?.held() ?? [])]),
  ).toEqual([[1, 2, 3]]);
});

it("show what states become", async () => {
  const count = state(scalar(0));
  const step = compile((x: Tensor) => {
    count.assign(count.add(x));
    return x;
  });
  await step(scalar(2));
  const { nodes, assigns } = step.graph();
  expect(assigns.map(({ state: one }) => one)).toEqual([count]);
  expect(nodes[assigns[0]?.value ?? -1]?.op).toBe("add");
});
