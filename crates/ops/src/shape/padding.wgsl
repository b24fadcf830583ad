const CONSTANT: u32 = 0u;
const REFLECT: u32 = 1u;
const REPLICATE: u32 = 2u;
const CIRCULAR: u32 = 3u;
const SYMMETRIC: u32 = 4u;

// The position of which position `i` of a padded axis is a copy; the extent where it holds the constant.
fn source(mode: u32, before: u32, extent: u32, i: u32) -> u32 {
    if (i >= before && i < before + extent) {
        return i - before;
    }
    if (mode == CONSTANT) {
        return extent;
    }
    if (mode == REPLICATE) {
        return select(0u, extent - 1u, i >= before);
    }
    if (mode == CIRCULAR) {
        return (i + extent - before) % extent;
    }
    let edge = select(0u, 1u, mode == SYMMETRIC);
    return select(2u * extent + before - 2u + edge - i, before - i - edge, i < before);
}
