// Extents of a convolution, channels last (NHWC, HWIO), at words 14 to 30.
struct Extents {
    // First words of the two operands.
    first: u32,
    second: u32,
    // The image, and the result.
    size: vec2<u32>,
    out: vec2<u32>,
    kernel_width: u32,
    // Channels in all, and of a group.
    channels_in: u32,
    channels_out: u32,
    of_group_in: u32,
    of_group_out: u32,
    stride: vec2<u32>,
    dilation: vec2<u32>,
    // Zeros above and to the left.
    padding: vec2<u32>,
}

fn extents(grid: Grid) -> Extents {
    return Extents(
        word(grid, 14u),
        word(grid, 15u),
        vec2(word(grid, 16u), word(grid, 17u)),
        vec2(word(grid, 18u), word(grid, 19u)),
        word(grid, 20u),
        word(grid, 21u),
        word(grid, 22u),
        word(grid, 23u),
        word(grid, 24u),
        vec2(word(grid, 25u), word(grid, 26u)),
        vec2(word(grid, 27u), word(grid, 28u)),
        vec2(word(grid, 29u), word(grid, 30u)),
    );
}

// Words before a pixel of an image; wraps around where it lies above or to the left.
fn pixel(image: u32, at: vec2<u32>, size: vec2<u32>, channels: u32) -> u32 {
    return ((image * size.x + at.x) * size.y + at.y) * channels;
}

// A product's row and term together say which element of an image is meant: its place and its word are the sums of two parts, which
// wrap around. So what depends on a row, or on a term, is computed once for all elements of the row, or of the term.
struct Part { at: vec2<u32>, word: u32 }

fn part(image: u32, at: vec2<u32>, size: vec2<u32>, channels: u32, first: u32) -> Part {
    return Part(at, pixel(image, at, size, channels) + first);
}

// The element that two parts name; 0 outside the image.
fn element(a: Part, b: Part, size: vec2<u32>) -> f32 {
    if (any(a.at + b.at >= size)) {
        return 0.0;
    }
    return load(a.word + b.word);
}
