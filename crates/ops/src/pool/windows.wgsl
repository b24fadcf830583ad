// Windows over images. Words 0 to 9: invocations, values of a pixel, rows and columns of the image and of windows,
// rows and columns of a window, steps down and across.
struct Extents { inner: u32, size: vec2<u32>, windows: vec2<u32>, kernel: vec2<u32>, stride: vec2<u32> }

fn extents(grid: Grid) -> Extents {
    return Extents(
        word(grid, 1u),
        vec2(word(grid, 2u), word(grid, 3u)),
        vec2(word(grid, 4u), word(grid, 5u)),
        vec2(word(grid, 6u), word(grid, 7u)),
        vec2(word(grid, 8u), word(grid, 9u)),
    );
}

// An element: which image, row and column, and which value of the pixel.
struct Element { image: u32, at: vec2<u32>, channel: u32 }

fn element(i: u32, size: vec2<u32>, inner: u32) -> Element {
    let pixel = i / inner;
    let row = pixel / size.y;
    return Element(row / size.x, vec2(row % size.x, pixel % size.y), i % inner);
}

// Words before an element.
fn place(e: Element, size: vec2<u32>, inner: u32) -> u32 {
    return ((e.image * size.x + e.at.x) * size.y + e.at.y) * inner + e.channel;
}

// The windows that hold a pixel: from the first on, up to but without the last.
fn first_window(at: vec2<u32>, e: Extents) -> vec2<u32> {
    // The first whose end lies behind the pixel.
    return (max(at + 1u, e.kernel) - e.kernel + e.stride - 1u) / e.stride;
}

fn last_window(at: vec2<u32>, e: Extents) -> vec2<u32> {
    return min(at / e.stride + 1u, e.windows);
}
