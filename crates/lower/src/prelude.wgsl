// Before every kernel: where its operands are. A dispatch runs one kernel on some grids, each of words and workgroups of its own;
// a table says how many workgroups the grids before each have in all, and where its words are. Its first word is not 0 once the
// job that the step belongs to has ended: nothing is done then.

struct Dispatch {
    // Index in `table` of the pairs (end of the workgroups, index of the words), one for each grid.
    table: u32,
    grids: u32,
    // Workgroups along x.
    width: u32,
    pad: u32,
}

struct Grid {
    // Index in `table` of its words.
    words: u32,
    // Which of its workgroups this is, from 0.
    group: u32,
}

@group(0) @binding(0) var<uniform> dispatch: Dispatch;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> heap: array<u32>;

// A word of the launch: number k of its arguments.
fn word(grid: Grid, k: u32) -> u32 {
    return table[grid.words + k];
}

// The float at an index, and how one is stored.
fn load(at: u32) -> f32 {
    return bitcast<f32>(heap[at]);
}

fn store(at: u32, value: f32) {
    heap[at] = bitcast<u32>(value);
}

// An integer, and how one is stored.
fn load_i32(at: u32) -> i32 {
    return bitcast<i32>(heap[at]);
}

fn store_i32(at: u32, value: i32) {
    heap[at] = bitcast<u32>(value);
}

// On bits, because a compiler may assume that NaN does not occur.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// A NaN that no compiler can see through: constants that are not finite are refused.
fn quiet_nan() -> f32 {
    return bitcast<f32>(0x7fc00000u | (dispatch.pad & 1u));
}

fn infinity() -> f32 {
    return bitcast<f32>(0x7f800000u | (dispatch.pad & 1u));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let group = id.x + id.y * dispatch.width;
    // Its end is not a uniform alone: Mesa's software driver would compile the kernel anew for each value, in each step.
    let last = dispatch.table + 2u * min(dispatch.grids, arrayLength(&table));
    var pair = dispatch.table;
    var first = 0u;
    for (; pair < last && table[pair] <= group; pair += 2u) {
        first = table[pair];
    }
    if (pair < last && table[0] == 0u) {
        run(Grid(table[pair + 1u], group - first), local);
    }
}
