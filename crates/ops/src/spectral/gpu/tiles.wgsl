// Products of matrices in tiles of 64 x 64. A workgroup of 16 x 16 invocations holds a tile in registers, a block of 4 x 4 each:
// rows 4 y + i, columns x + 16 j. The factors come 16 terms at a time into workgroup memory.

const SIDE: u32 = 64u;
const TERMS: u32 = 16u;
// Words from a term to the next: a multiple of four, so that four rows are read at once, and few of those that write neighbouring
// terms share a bank.
const PITCH: u32 = 68u;

// Element (term, row) of the transposed left factor, and (term, column) of the right one.
var<workgroup> left: array<f32, TERMS * PITCH>;
var<workgroup> right: array<f32, TERMS * PITCH>;

// Adds the product of what is in workgroup memory to a block: row i of it is sum[i].
fn accumulate(local: u32, sum: mat4x4<f32>) -> mat4x4<f32> {
    var block = sum;
    let x = local % 16u;
    let y = 4u * (local / 16u);
    for (var k = 0u; k < TERMS; k++) {
        let row = k * PITCH;
        let a = vec4(left[row + y], left[row + y + 1u], left[row + y + 2u], left[row + y + 3u]);
        let b = vec4(right[row + x], right[row + x + 16u], right[row + x + 32u], right[row + x + 48u]);
        block[0] += a.x * b;
        block[1] += a.y * b;
        block[2] += a.z * b;
        block[3] += a.w * b;
    }
    return block;
}
