// An attack on outputs: projected gradient steps that make something of them as large as they can.
import { compile, grad, type Module, type Tensor, tensor } from "tslip";

/** By how much points of some units' size stay within a radius, so that float32 puts none of them outside. */
const INSIDE = 2e-6;

/** For each sample of `x`, `[n, d]`, a point within `radius` of it, where `aim` of the outputs, a number a sample, has grown. */
export async function pushed(
  model: Module,
  x: Tensor,
  radius: number,
  aim: (outputs: Tensor) => Tensor,
  steps = 40,
): Promise<Tensor> {
  const norms = (of: Tensor): Tensor => of.square().sum(1, { keepdims: true }).sqrt().maximum(1e-30);
  const step = compile((origin: Tensor, at: Tensor, length: Tensor) => {
    const [gradient] = grad(aim(model.forward(at)).sum(), [at]);
    const moved = at.add(gradient.div(norms(gradient)).mul(length)).sub(origin);
    return origin.add(
      moved.mul(
        norms(moved)
          .pow(-1)
          .mul(radius - INSIDE * (1 + radius))
          .minimum(1),
      ),
    );
  });
  let at: Tensor = x;
  for (let i = 0; i < steps; i++) at = await step(x, at, tensor((2 * radius) / (i + 2)));
  return at;
}

/** The largest distance of two points, `[n, d]`, of one sample. */
export function farthest(a: Tensor, b: Tensor): number {
  const [p, q, width] = [a.dataSync(), b.dataSync(), a.shape[1] ?? 1];
  const squares = new Float64Array(p.length / width);
  p.forEach((value, k) => {
    squares[Math.floor(k / width)] = (squares[Math.floor(k / width)] ?? 0) + (value - (q[k] ?? Number.NaN)) ** 2;
  });
  return Math.sqrt(Math.max(...squares));
}
