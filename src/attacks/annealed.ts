// Numbers that go down from step to step.

/** Of each of so many steps a number that goes from `first` towards `last` along half a cosine. */
export function annealed(steps: number, first: number, last: number): Float32Array {
  return Float32Array.from(
    { length: steps },
    (_, i) => last + ((first - last) * (1 + Math.cos((Math.PI * i) / steps))) / 2,
  );
}
