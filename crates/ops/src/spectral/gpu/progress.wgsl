// How far an iteration is whose number of blocks depends on the weight. Numbers, as floats: the number of blocks once it is
// known, 0 before; whether the weight was orthonormal to rounding before the last block; and for each block the number of
// iterations when it had ended.

// The number of blocks, 0 where it is not known.
fn blocks_of(local: u32, progress: u32) -> u32 {
    return agreed(local, u32(load(progress)));
}

// Whether the last block was before this one.
fn is_over(blocks: u32, block: u32) -> bool {
    return blocks != 0u && block >= blocks;
}
