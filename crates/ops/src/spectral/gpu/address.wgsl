// Addresses are two words, an index and what is added to it; where the first is NONE there is nothing.

const NONE: u32 = 0xffffffffu;

fn address(grid: Grid, k: u32) -> u32 {
    return word(grid, k) + word(grid, k + 1u);
}

var<workgroup> agreement: u32;

// The value of invocation 0, known to be the same for all.
fn agreed(local: u32, value: u32) -> u32 {
    if (local == 0u) {
        agreement = value;
    }
    return workgroupUniformLoad(&agreement);
}
