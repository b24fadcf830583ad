//! Products of matrices on a GPU, whatever the matrices are made of: the kernel that multiplies tiles, and how the work is cut
//! into workgroups. Convolution and its adjoints are such products too (implicit GEMM).
use tslip_graph::gpu::{Argument, Form, Kernel, Launch, WORKGROUP};

/// Invocations of the kernel along each side of a tile.
const SIDE: usize = 16;
/// Terms of a step of the kernel.
const STEP: usize = 16;
/// A sum is cut into parts of at least this many terms.
const FEWEST_TERMS: usize = 256;
/// So many workgroups keep a large device busy.
const WORKGROUPS: usize = 512;
/// With fewer, much of it is idle.
const FEWEST_WORKGROUPS: usize = 128;
/// Invocations that add up the parts of an element.
const LANES: u32 = 16;

/// C = A B for each of a number of batches.
pub struct Product {
    /// What the operands are called.
    pub name: &'static str,
    /// WGSL that reads them (see `product.wgsl`).
    pub operands: &'static str,
    /// Whether neighbouring rows of A, rather than neighbouring terms, lie side by side in memory.
    pub a_rows_together: bool,
    /// Whether neighbouring columns of B lie side by side.
    pub b_columns_together: bool,
    /// How many products.
    pub batches: usize,
    /// Rows of A and C.
    pub rows: usize,
    /// Columns of B and C.
    pub columns: usize,
    /// Columns of A and rows of B.
    pub terms: usize,
    /// Words of C from one batch to the next, and from one row to the next.
    pub strides: [usize; 2],
    /// What is added to each row of C, and its words from one batch to the next.
    pub bias: Option<(Argument, usize)>,
    /// The words that the text of the operands reads, from 14 on.
    pub words: Vec<Argument>,
    /// Constants that it leaves open.
    pub constants: Vec<(&'static str, u32)>,
}

impl Product {
    /// The kernels.
    pub fn form(self) -> Form {
        let elements = self.batches * self.rows * self.columns;
        if elements == 0 {
            return Form::Kernels(Vec::new());
        }
        let [down, across] = self.tile();
        let (tiles_down, tiles_across) = (self.rows.div_ceil(SIDE * down), self.columns.div_ceil(SIDE * across));
        let tiles = self.batches * tiles_down * tiles_across;
        let (splits, share) = self.splits(tiles);
        let [out, strides, of_split] = match splits {
            1 => [Argument::Output, Argument::size(self.strides[0]), Argument::size(0)],
            _ => {
                let parts = Argument::Scratch { at: 0, words: splits * elements };
                [parts, Argument::size(self.rows * self.columns), Argument::size(elements)]
            }
        };
        let of_row = if splits == 1 { self.strides[1] } else { self.columns };
        let (bias, of_bias) = self.bias.unwrap_or((Argument::Word(0), 0));
        let mut words: Vec<Argument> =
            [self.rows, self.columns, self.terms, tiles_down, tiles_across, splits, share].map(Argument::size).to_vec();
        words.extend([out, strides, Argument::size(of_row), of_split]);
        words.extend([Argument::size(usize::from(self.bias.is_some())), bias, Argument::size(of_bias)]);
        words.extend(&self.words);
        let kernel = (self.constants.iter())
            .fold(Kernel::new(self.name, include_str!("product.wgsl")), |kernel, &(name, value)| {
                kernel.constant(name, value)
            })
            .with(self.operands)
            .constant("ROWS", down as u32)
            .constant("COLUMNS", across as u32)
            .constant("A_ROWS_TOGETHER", u32::from(self.a_rows_together))
            .constant("B_COLUMNS_TOGETHER", u32::from(self.b_columns_together));
        let mut launches = vec![kernel.launch(tiles * splits, words)];
        if splits > 1 {
            launches.push(self.sum(elements, splits));
        }
        Form::Kernels(launches)
    }

    fn sum(&self, elements: usize, splits: usize) -> Launch {
        let mut words: Vec<Argument> = [elements, self.rows, self.columns, splits].map(Argument::size).to_vec();
        words.extend([Argument::Scratch { at: 0, words: splits * elements }, Argument::Output]);
        words.extend(self.strides.map(Argument::size));
        let kernel = Kernel::new("sum of splits", include_str!("sum_splits.wgsl")).constant("LANES", LANES);
        kernel.launch(elements.div_ceil((WORKGROUP / LANES) as usize), words)
    }

    /// Elements of C that an invocation computes, down and across: as many as there are, up to the registers it has, as each
    /// that it reads is then used more often; fewer where tiles of that size would leave the device idle.
    fn tile(&self) -> [usize; 2] {
        let across = match self.columns {
            0..=16 => 1,
            17..=32 => 2,
            _ => 4,
        };
        let busy = |down: usize| {
            let tiles = self.rows.div_ceil(SIDE * down) * self.columns.div_ceil(SIDE * across);
            self.batches * tiles * self.most_splits() >= FEWEST_WORKGROUPS
        };
        let fits = |down: &usize| self.rows > SIDE * down / 2 && busy(*down);
        [[8, 4, 2].into_iter().find(fits).unwrap_or(1), across]
    }

    /// Into how many parts sums may be cut.
    fn most_splits(&self) -> usize {
        if self.bias.is_some() { 1 } else { (self.terms / FEWEST_TERMS).max(1) }
    }

    /// Into how many parts the sums are cut, and the terms of each: where there are few tiles and many terms.
    fn splits(&self, tiles: usize) -> (usize, usize) {
        let splits = WORKGROUPS.div_ceil(tiles).min(self.most_splits());
        let share = self.terms.div_ceil(splits).next_multiple_of(STEP).max(STEP);
        (self.terms.div_ceil(share).max(1), share)
    }
}
