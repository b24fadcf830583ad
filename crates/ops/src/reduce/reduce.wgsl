// Reduces some axes of a tensor. An element of the result belongs to `lanes` invocations of a workgroup, each of which takes every
// lanes-th of its terms; a tree over them ends it. Where there are few results of many terms, these are cut into splits, and
// a second launch reduces those.
// Words: 0 results, 1 terms of each, 2 lanes, 3 splits, 4 terms of a split, 5 whether neighbouring results lie side by side, 6 first
// word of the operand, 7 of the result, 8 the number of axes that stay and for each, outermost first, its extent and
// stride; after them the same for those that go.
// OPERATION: 0 sum, 1 max, 2 min. INTEGER: 1 for i32.

// Terms that are summed before they are added to the rest.
const RUN: u32 = 32u;

var<workgroup> partial: array<u32, WORKGROUP>;

fn combine(a: u32, b: u32) -> u32 {
    if (INTEGER == 1u) {
        let x = bitcast<i32>(a);
        let y = bitcast<i32>(b);
        if (OPERATION == 0u) {
            return bitcast<u32>(x + y);
        }
        return bitcast<u32>(select(min(x, y), max(x, y), OPERATION == 1u));
    }
    let x = bitcast<f32>(a);
    let y = bitcast<f32>(b);
    if (OPERATION == 0u) {
        return bitcast<u32>(x + y);
    }
    // NaN wins.
    let first = is_nan(x) || (!is_nan(y) && ((OPERATION == 1u && x >= y) || (OPERATION == 2u && x <= y)));
    return select(b, a, first);
}

fn neutral() -> u32 {
    if (OPERATION == 0u) {
        return 0u;
    }
    if (INTEGER == 1u) {
        return select(0x7fffffffu, 0x80000000u, OPERATION == 1u);
    }
    return select(0x7f800000u, 0xff800000u, OPERATION == 1u);
}

// Words of element `index` along the axes that are listed at word `list`.
fn place(grid: Grid, list: u32, index: u32) -> u32 {
    var rest = index;
    var at = 0u;
    for (var axis = word(grid, list); axis > 0u; axis--) {
        let extent = word(grid, list + 2u * axis - 1u);
        at += rest % extent * word(grid, list + 2u * axis);
        rest = rest / extent;
    }
    return at;
}

fn run(grid: Grid, local: u32) {
    let results = word(grid, 0u);
    let lanes = word(grid, 2u);
    let together = WORKGROUP / lanes;
    let blocks = (results + together - 1u) / together;
    let split = grid.group / blocks;
    var own = local / lanes;
    var lane = local % lanes;
    if (word(grid, 5u) == 1u) {
        own = local % together;
        lane = local / together;
    }
    let result = grid.group % blocks * together + own;
    let reduced = 9u + 2u * word(grid, 8u);
    let begin = split * word(grid, 4u);
    let end = min(begin + word(grid, 4u), word(grid, 1u));
    var total = neutral();
    if (result < results) {
        let first = word(grid, 6u) + place(grid, 8u, result);
        var part = neutral();
        var count = 0u;
        for (var term = begin + lane; term < end; term += lanes) {
            part = combine(part, heap[first + place(grid, reduced, term)]);
            count++;
            if (count == RUN) {
                total = combine(total, part);
                part = neutral();
                count = 0u;
            }
        }
        total = combine(total, part);
    }
    let slot = own + lane * together;
    partial[slot] = total;
    for (var half = lanes / 2u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[slot] = combine(partial[slot], partial[slot + half * together]);
        }
    }
    if (lane == 0u && result < results) {
        heap[word(grid, 7u) + split * results + result] = partial[slot];
    }
}
