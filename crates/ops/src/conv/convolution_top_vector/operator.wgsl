// A convolution of one image with padding of any mode, and its adjoint, a result each invocation. Nothing is done once the first word
// of the state is not 0.
// Words: 0 results, 1 first word of what goes in, 2 of what comes out, 3 of the weights, 4 of the state, 5 mode of padding,
// 6 channels of a group that go in, 7 that come out, 8 groups; then for rows and for columns: extent of the image, elements before it,
// extent with padding, of the result, taps, stride, dilation.
const ROWS: u32 = 9u;
const COLUMNS: u32 = 16u;

fn tap_weight(grid: Grid, o: u32, i: u32, ky: u32, kx: u32) -> f32 {
    let at = ((o * word(grid, 6u) + i) * word(grid, ROWS + 4u) + ky) * word(grid, COLUMNS + 4u) + kx;
    return load(word(grid, 3u) + at);
}

fn pixel(grid: Grid, axis: u32, padded: u32) -> u32 {
    return source(word(grid, 5u), word(grid, axis + 1u), word(grid, axis), padded);
}
