// The vector that the iteration starts from, and a state in which nothing is known: crates/cpu/src/spectral/convolution.rs has the hash.
// Words: 0 numbers of the vector, 1 its first word, 2 words of the state, 3 its first.
fn run(grid: Grid, local: u32) {
    let i = grid.group * WORKGROUP + local;
    if (i < word(grid, 0u)) {
        let state = i * 747796405u + 2891336453u;
        let hashed = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
        store(word(grid, 1u) + i, f32(((hashed >> 22u) ^ hashed) >> 8u) / 8388608.0 - 1.0);
    }
    if (i < word(grid, 2u)) {
        heap[word(grid, 3u) + i] = 0u;
    }
}
