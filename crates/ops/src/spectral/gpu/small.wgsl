// Matrices `[p, p]`, p <= 64, each held in registers by one workgroup, all of them zero outside.

// The sum of the products of corresponding elements.
fn inner(local: u32, a: mat4x4<f32>, b: mat4x4<f32>) -> f32 {
    return summed(local, (dot(a[0], b[0]) + dot(a[1], b[1])) + (dot(a[2], b[2]) + dot(a[3], b[3])));
}

fn row_of(local: u32, i: u32) -> u32 {
    return 4u * (local / 16u) + i;
}

fn column_of(local: u32, j: u32) -> u32 {
    return local % 16u + 16u * j;
}

fn identity(local: u32, p: u32) -> mat4x4<f32> {
    var block = mat4x4<f32>();
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let r = row_of(local, i);
            block[i][j] = select(0.0, 1.0, r < p && r == column_of(local, j));
        }
    }
    return block;
}

// The sum of `parts` matrices that lie one after another.
fn read_matrix(local: u32, p: u32, first: u32, parts: u32) -> mat4x4<f32> {
    var block = mat4x4<f32>();
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let r = row_of(local, i);
            let c = column_of(local, j);
            if (r < p && c < p) {
                var sum = 0.0;
                for (var part = 0u; part < parts; part++) {
                    sum += load(first + (part * p + r) * p + c);
                }
                block[i][j] = sum;
            }
        }
    }
    return block;
}

fn write_matrix(local: u32, p: u32, first: u32, value: mat4x4<f32>) {
    var block = value;
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let r = row_of(local, i);
            let c = column_of(local, j);
            if (r < p && c < p) {
                store(first + r * p + c, block[i][j]);
            }
        }
    }
}

// Brings TERMS rows of A and of B from the registers of those that hold them.
fn bring(local: u32, first: u32, a: mat4x4<f32>, b: mat4x4<f32>) {
    if (row_of(local, 0u) / TERMS == first / TERMS) {
        var block_a = a;
        var block_b = b;
        for (var i = 0u; i < 4u; i++) {
            for (var j = 0u; j < 4u; j++) {
                let slot = (row_of(local, i) - first) * PITCH + column_of(local, j);
                left[slot] = block_a[i][j];
                right[slot] = block_b[i][j];
            }
        }
    }
}

// Aᵀ B; exactly symmetric where A is B.
fn product(local: u32, p: u32, a: mat4x4<f32>, b: mat4x4<f32>) -> mat4x4<f32> {
    var sum = mat4x4<f32>();
    for (var first = 0u; first < p; first += TERMS) {
        workgroupBarrier();
        bring(local, first, a, b);
        workgroupBarrier();
        sum = accumulate(local, sum);
    }
    return sum;
}

// A + Aᵀ.
fn with_transpose(local: u32, p: u32, a: mat4x4<f32>) -> mat4x4<f32> {
    var block = a;
    for (var first = 0u; first < p; first += TERMS) {
        workgroupBarrier();
        bring(local, first, a, a);
        workgroupBarrier();
        let row = local % 16u * PITCH + row_of(local, 0u);
        let j = first / TERMS;
        block[0][j] += left[row];
        block[1][j] += left[row + 1u];
        block[2][j] += left[row + 2u];
        block[3][j] += left[row + 3u];
    }
    return block;
}
