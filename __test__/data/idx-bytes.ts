// Makes the bytes of an IDX file, whole or wrong on purpose.

/** A file that announces element type `type` and dimensions `shape`, followed by the bytes `elements`. */
export function idxBytes(type: number, shape: readonly number[], elements: ArrayLike<number>): Uint8Array {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header[2] = type;
  header[3] = shape.length;
  for (const [axis, dimension] of shape.entries()) header.writeUInt32BE(dimension, 4 + 4 * axis);
  return Buffer.concat([header, Uint8Array.from(elements)]);
}
