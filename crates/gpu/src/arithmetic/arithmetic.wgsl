// Operations on floats from memory, each result beside the others: what the device makes of them is judged on the host. An
// invocation takes a pair of floats, or a sum of products.
// Words: 0 pairs, 1 first word of their operands, 2 of their results, 3 sums, 4 runs of a sum, 5 first word of their factors, 6 of
// their results.
const OPERANDS: u32 = 6u;
const RESULTS: u32 = 18u;
const RUN: u32 = 128u;
// Of these a compiler knows the number, and may unroll the loop over them.
const TERMS: u32 = 16u;

fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    let pairs = word(grid, 0u);
    if (i < pairs) {
        pair(word(grid, 1u) + OPERANDS * i, word(grid, 2u) + RESULTS * i);
    } else if (i < pairs + word(grid, 3u)) {
        let terms = word(grid, 4u) * RUN;
        let sum = i - pairs;
        store(word(grid, 6u) + sum, sum_of_products(word(grid, 5u) + 2u * terms * sum, word(grid, 4u)));
    }
}

fn pair(at: u32, to: u32) {
    let a = load(at);
    let b = load(at + 1u);
    let product = load(at + 2u);
    let x = load(at + 3u);
    store(to, a + b);
    store(to + 1u, a - b);
    store(to + 2u, a * b);
    store(to + 3u, fma(a, b, -1.0));
    store(to + 4u, (a + b) - b);
    store(to + 5u, sum_error(a, b));
    store(to + 6u, product_error(a, b, product));
    // As relu and maximum are written.
    store(to + 7u, select(a, 0.0, a <= 0.0));
    store(to + 8u, select(b, a, a > b || is_nan(a)));
    heap[to + 9u] = select(0u, 1u, is_nan(a + b)) | select(0u, 2u, a < b) | select(0u, 4u, a <= b)
        | select(0u, 8u, a > b) | select(0u, 16u, a >= b) | select(0u, 32u, a == b);
    store(to + 10u, tslip_divide(a, b));
    store(to + 11u, tslip_sqrt(a));
    store(to + 12u, tslip_exp(x));
    store(to + 13u, tslip_log(x));
    store(to + 14u, tslip_tanh(x));
    store(to + 15u, tslip_sigmoid(x));
    store(to + 16u, tslip_atanh(x));
    store(to + 17u, tslip_pow(load(at + 4u), load(at + 5u)));
}

// What rounding takes off a + b (Knuth's TwoSum).
fn sum_error(a: f32, b: f32) -> f32 {
    let sum = a + b;
    let of_b = sum - a;
    return (a - (sum - of_b)) + (b - of_b);
}

// a b less a product that is near (Dekker's TwoProduct): all products are exact, so that fusing one with a sum changes nothing.
fn product_error(a: f32, b: f32, product: f32) -> f32 {
    let a_high = tslip_leading(a);
    let b_high = tslip_leading(b);
    let a_low = a - a_high;
    let b_low = b - b_high;
    return (((a_high * b_high - product) + a_high * b_low) + a_low * b_high) + a_low * b_low;
}

// As in the kernel of products: runs, which are then added up.
fn sum_of_products(at: u32, runs: u32) -> f32 {
    var total = 0.0;
    for (var r = 0u; r < runs; r++) {
        var part = 0.0;
        for (var start = r * RUN; start < (r + 1u) * RUN; start += TERMS) {
            for (var k = 0u; k < TERMS; k++) {
                let factors = at + 2u * (start + k);
                part += load(factors) * load(factors + 1u);
            }
        }
        total += part;
    }
    return total;
}
