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

fn extents(job: Job) -> Extents {
    return Extents(
        word(job, 14u),
        word(job, 15u),
        vec2(word(job, 16u), word(job, 17u)),
        vec2(word(job, 18u), word(job, 19u)),
        word(job, 20u),
        word(job, 21u),
        word(job, 22u),
        word(job, 23u),
        word(job, 24u),
        vec2(word(job, 25u), word(job, 26u)),
        vec2(word(job, 27u), word(job, 28u)),
        vec2(word(job, 29u), word(job, 30u)),
    );
}

// Words before a pixel of an image.
fn pixel(image: u32, at: vec2<u32>, size: vec2<u32>, channels: u32) -> u32 {
    return ((image * size.x + at.x) * size.y + at.y) * channels;
}
