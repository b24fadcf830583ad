// The largest eigenvalue of the tridiagonal matrix, by bisection, its vector, by inverse iteration, and once it has converged or at the
// end the vector of the operator, of the length of the norm, in one workgroup.
// Words: 0 numbers of a vector, 1 rows of the matrix, 2 first word of the basis, 3 of the state: whether all is done, then the
// diagonal, what is beside it, pivots and the vector, 4 words of each, 5 a bound of the norm, 6 what the norm is multiplied by where
// the method has converged, 7 what at the end where it has not, 0 before, 8 the residual that is small, 9 first word of the result.
const BISECTIONS: u32 = 40u;
const ITERATIONS: u32 = 3u;

const OPEN: u32 = 0u;
const CONVERGED: u32 = 1u;
const ZERO: u32 = 2u;
const NO_NUMBER: u32 = 3u;

// Whether x is above all eigenvalues: all pivots of x I - T are positive.
fn is_above(x: f32, rows: u32, diagonal: u32, beside: u32) -> bool {
    var pivot = x - load(diagonal);
    for (var i = 1u; i < rows; i++) {
        if (!(pivot > 0.0)) {
            return false;
        }
        let b = load(beside + i - 1u);
        pivot = x - load(diagonal + i) - tslip_divide(b * b, pivot);
    }
    return pivot > 0.0;
}

struct Found {
    how: u32,
    theta: f32,
}

fn find(grid: Grid) -> Found {
    let rows = word(grid, 1u);
    let diagonal = word(grid, 3u) + 1u;
    let beside = diagonal + word(grid, 4u);
    let pivots = beside + word(grid, 4u);
    let vector = pivots + word(grid, 4u);
    var low = 0.0;
    var high = 0.0;
    for (var i = 0u; i < rows; i++) {
        let own = load(diagonal + i);
        var row = own;
        if (i + 1u < rows) {
            row += load(beside + i);
        }
        if (i > 0u) {
            row += load(beside + i - 1u);
        }
        if (is_nan(own) || is_nan(load(beside + i)) || is_nan(row)) {
            return Found(NO_NUMBER, 0.0);
        }
        low = max(low, own);
        high = max(high, row);
    }
    if (low == 0.0) {
        return Found(ZERO, 0.0);
    }
    high *= 1.0 + 2.4e-7;
    for (var k = 0u; k < BISECTIONS; k++) {
        let middle = 0.5 * (low + high);
        if (is_above(middle, rows, diagonal, beside)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    // high I - T = L D Lᵀ.
    let least = 1e-9 * high;
    for (var i = 0u; i < rows; i++) {
        var pivot = high - load(diagonal + i);
        if (i > 0u) {
            let b = load(beside + i - 1u);
            pivot -= tslip_divide(b * b, load(pivots + i - 1u));
        }
        store(pivots + i, max(pivot, least));
        store(vector + i, 1.0);
    }
    for (var k = 0u; k < ITERATIONS; k++) {
        for (var i = 1u; i < rows; i++) {
            let factor = tslip_divide(load(beside + i - 1u), load(pivots + i - 1u));
            store(vector + i, load(vector + i) + factor * load(vector + i - 1u));
        }
        for (var i = 0u; i < rows; i++) {
            store(vector + i, tslip_divide(load(vector + i), load(pivots + i)));
        }
        var largest = abs(load(vector + rows - 1u));
        for (var i = rows - 1u; i > 0u; i--) {
            let factor = tslip_divide(load(beside + i - 1u), load(pivots + i - 1u));
            let value = load(vector + i - 1u) + factor * load(vector + i);
            store(vector + i - 1u, value);
            largest = max(largest, abs(value));
        }
        var square = 0.0;
        for (var i = 0u; i < rows; i++) {
            let value = tslip_divide(load(vector + i), largest);
            store(vector + i, value);
            square += value * value;
        }
        let sign = select(1.0, -1.0, load(vector) < 0.0);
        let length = sign * tslip_sqrt(square);
        for (var i = 0u; i < rows; i++) {
            store(vector + i, tslip_divide(load(vector + i), length));
        }
    }
    let residual = load(beside + rows - 1u) * abs(load(vector + rows - 1u));
    let small = residual <= bitcast<f32>(word(grid, 8u)) * high;
    return Found(select(OPEN, CONVERGED, small), high);
}

fn run(grid: Grid, local: u32) {
    let count = word(grid, 0u);
    let rows = word(grid, 1u);
    let basis = word(grid, 2u);
    let vector = word(grid, 3u) + 1u + 3u * word(grid, 4u);
    if (agreed(local, heap[word(grid, 3u)]) != 0u) {
        return;
    }
    var found = Found(OPEN, 0.0);
    if (local == 0u) {
        found = find(grid);
    }
    let how = agreed(local, found.how);
    let theta = bitcast<f32>(agreed(local, bitcast<u32>(found.theta)));
    let open = bitcast<f32>(word(grid, 7u));
    if (how == OPEN && open == 0.0) {
        return;
    }
    storageBarrier();
    let result = word(grid, 9u);
    var square = 0.0;
    for (var i = local; i < count; i += WORKGROUP) {
        var sum = 0.0;
        for (var k = 0u; k < rows; k++) {
            sum += load(vector + k) * load(basis + k * count + i);
        }
        store(result + i, sum);
        square += sum * sum;
    }
    let own = tslip_sqrt(summed(local, square));
    let share = select(open, bitcast<f32>(word(grid, 6u)), how == CONVERGED);
    let length = min(bitcast<f32>(word(grid, 5u)), share * tslip_sqrt(theta));
    let factor = tslip_divide(length, own);
    for (var i = local; i < count; i += WORKGROUP) {
        var value = load(result + i) * factor;
        if (how == ZERO) {
            value = 0.0;
        } else if (how == NO_NUMBER) {
            value = quiet_nan();
        }
        store(result + i, value);
    }
    if (local == 0u) {
        heap[word(grid, 3u)] = 1u;
    }
}
