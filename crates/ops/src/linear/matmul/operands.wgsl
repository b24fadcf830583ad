// Operands of a product of matrices. Words from 14 on: first word of A, its distance of one row and of one term to the next;
// first word of B, its distance of one column and of one term; how many leading axes, and for each its extent and the
// distances of A and of B along it.
struct ARow { at: u32 }
struct ATerm { at: u32 }
struct BColumn { at: u32 }
struct BTerm { at: u32 }

// Where an operand's matrix of a batch begins; `which` is 0 for A and 1 for B.
fn matrix_of(grid: Grid, batch: u32, which: u32) -> u32 {
    var at = word(grid, 14u + 3u * which);
    var rest = batch;
    for (var axis = word(grid, 20u); axis > 0u; axis--) {
        let own = 21u + 3u * (axis - 1u);
        let extent = word(grid, own);
        at += rest % extent * word(grid, own + 1u + which);
        rest = rest / extent;
    }
    return at;
}

fn a_row(grid: Grid, batch: u32, row: u32) -> ARow {
    return ARow(matrix_of(grid, batch, 0u) + row * word(grid, 15u));
}

fn a_term(grid: Grid, term: u32) -> ATerm {
    return ATerm(term * word(grid, 16u));
}

fn a_value(row: ARow, term: ATerm) -> f32 {
    return load(row.at + term.at);
}

fn b_column(grid: Grid, batch: u32, column: u32) -> BColumn {
    return BColumn(matrix_of(grid, batch, 1u) + column * word(grid, 18u));
}

fn b_term(grid: Grid, term: u32) -> BTerm {
    return BTerm(term * word(grid, 19u));
}

fn b_value(column: BColumn, term: BTerm) -> f32 {
    return load(column.at + term.at);
}
