// The order in which an epoch visits the samples, and how it is cut into batches.

/** Sample indices from first to last. */
export function inOrder(length: number): Uint32Array {
  const order = new Uint32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  return order;
}

/** Sample indices in an order that depends on the seed and the epoch alone. */
export function shuffledOrder(length: number, seed: number, epoch: number): Uint32Array {
  const order = inOrder(length);
  const random = splitMix64(BigInt(seed), BigInt(epoch));
  // Fisher-Yates; 53 random bits leave a bias of less than length / 2^53.
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const held = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = held;
  }
  return order;
}

/** Batch sizes of an epoch with the number of consecutive steps each is used for; the last batch may be smaller. */
export function batchSizes(length: number, batchSize: number): { size: number; steps: number }[] {
  const whole = Math.floor(length / batchSize);
  const rest = length % batchSize;
  const sizes = [
    { size: Math.min(batchSize, length), steps: whole },
    { size: rest, steps: rest > 0 ? 1 : 0 },
  ];
  return sizes.filter(({ steps }) => steps > 0);
}

/** What is left of an epoch of `parts`, once so many steps of it are made and at most `most` are to be. */
export function stepsBetween<P extends { readonly steps: number }>(
  parts: readonly P[],
  made: number,
  most: number,
): P[] {
  let [skip, left] = [made, most];
  return parts
    .map((part) => {
      const skipped = Math.min(skip, part.steps);
      const steps = Math.min(part.steps - skipped, left);
      skip -= skipped;
      left -= steps;
      return { ...part, steps };
    })
    .filter(({ steps }) => steps > 0);
}

/** SplitMix64 (Steele, Lea and Flood 2014) as uniform numbers in [0, 1). */
function splitMix64(seed: bigint, stream: bigint): () => number {
  const mask = (1n << 64n) - 1n;
  const mix = (value: bigint): bigint => {
    let z = value;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return z ^ (z >> 31n);
  };
  let state = mix((seed * 0x9e3779b97f4a7c15n + stream + 1n) & mask);
  return () => {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    return Number(mix(state) >> 11n) / 2 ** 53;
  };
}
