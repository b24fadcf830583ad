//! The GPU form: for each block of rows the inverse of its factor in one workgroup, the products with that in a workgroup for each 64
//! columns, and what remains of the rows after it in a workgroup for each tile. These are three launches for 64 rows, of which
//! the first keeps all but one workgroup waiting.
use tslip_graph::gpu::{Argument, EXACT, Form, Kernel, Launch};

/// Rows and columns of a tile, and of a block.
const SIDE: usize = 64;

/// The op, for matrices of this shape.
pub(super) fn form(shape: &[usize]) -> Form {
    let n = shape[shape.len() - 1];
    let count = shape[..shape.len() - 2].iter().product::<usize>();
    let diagonals = Argument::Scratch { at: 0, words: count * SIDE * SIDE };
    let panels = Argument::Scratch { at: count * SIDE * SIDE, words: count * SIDE * n };
    let (t, extents) = (Argument::Output, [count, n].map(Argument::size));
    let tiled = |name: &'static str, source: &'static str| {
        Kernel::new(name, source).with(include_str!("../../spectral/gpu/tiles.wgsl"))
    };
    let begin = Kernel::new("symmetric part", include_str!("symmetric.wgsl"));
    let mut launches = vec![begin.over(count * n * n, [&extents[..], &[Argument::Input(0), t]].concat())];
    let tiles = n.div_ceil(SIDE);
    for block in 0..tiles {
        let launch = |kernel: Kernel, groups: usize, places: &[Argument]| -> Launch {
            kernel.launch(count * groups, [&extents[..], &[Argument::size(block)], places].concat())
        };
        let pivots = Kernel::new("inverse of a Cholesky factor", include_str!("pivots.wgsl")).with(EXACT);
        launches.push(launch(pivots, 1, &[t, diagonals]));
        let rows = tiled("rows of an inverse Cholesky factor", include_str!("rows.wgsl"));
        launches.push(launch(rows, tiles, &[t, diagonals, panels]));
        let below = triangle(tiles) - triangle(block + 1);
        if below > 0 {
            launches.push(launch(tiled("rest of a matrix", include_str!("rest.wgsl")), below, &[t, panels]));
        }
    }
    Form::Kernels(launches)
}

/// Tiles on and below the diagonal in so many rows of tiles.
fn triangle(rows: usize) -> usize {
    rows * (rows + 1) / 2
}
