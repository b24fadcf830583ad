// C = A B in tiles: a workgroup of 16 x 16 invocations computes 16 ROWS x 16 COLUMNS elements, each invocation ROWS x COLUMNS of
// them in registers, begin 16 terms at a time in workgroup memory. What A and B are is said by the text before this one:
//   a_row(grid, batch, row), a_term(grid, term), a_value(row, term)        an element of A, 0 where there is none
//   b_column(grid, batch, column), b_term(grid, term), b_value(column, term)   an element of B
// Words: 0 rows, 1 columns, 2 terms, 3 tiles down, 4 tiles across, 5 splits, 6 terms of a split, 7 first word of C, 8, 9, 10
// distance of one batch, row, split of C to the next, 11 whether there is a bias, 12 its first word, 13 its distance of
// one batch to the next; the operands' own follow.

const TERMS: u32 = 16u;
// Terms that are summed in one run before they are added to the rest: errors grow with the length of a run.
const RUN: u32 = 128u;
// Terms whose sums are written out one after another.
const UNROLLED: u32 = 4u;
const TILE_ROWS: u32 = 16u * ROWS;
const TILE_COLUMNS: u32 = 16u * COLUMNS;
// Words from a term to the next: a multiple of four, so that rows are read four at a time, and few of the invocations that write
// neighbouring terms share a bank.
const A_PITCH: u32 = TILE_ROWS + 4u;
const B_PITCH: u32 = TILE_COLUMNS + 4u;

var<workgroup> tile_a: array<f32, TERMS * A_PITCH>;
var<workgroup> tile_b: array<f32, TERMS * B_PITCH>;

fn run(grid: Grid, local: u32) {
    let rows = word(grid, 0u);
    let columns = word(grid, 1u);
    let tiles_down = word(grid, 3u);
    let tiles_across = word(grid, 4u);
    let splits = word(grid, 5u);
    var rest = grid.group;
    let first_column = (rest % tiles_across) * TILE_COLUMNS;
    rest = rest / tiles_across;
    let first_row = (rest % tiles_down) * TILE_ROWS;
    rest = rest / tiles_down;
    let split = rest % splits;
    let batch = rest / splits;
    let begin = split * word(grid, 6u);
    let end = min(begin + word(grid, 6u), word(grid, 2u));

    // The elements that this invocation brings, of one term and every sixteenth row: neighbours bring neighbours in memory.
    let y = local / 16u;
    let x = local % 16u;
    let a_first = select(y, x, A_ROWS_TOGETHER == 1u);
    let a_of_step = select(x, y, A_ROWS_TOGETHER == 1u);
    let b_first = select(y, x, B_COLUMNS_TOGETHER == 1u);
    let b_of_step = select(x, y, B_COLUMNS_TOGETHER == 1u);
    var a_rows: array<ARow, ROWS>;
    var b_columns: array<BColumn, COLUMNS>;
    for (var j = 0u; j < ROWS; j++) {
        a_rows[j] = a_row(grid, batch, min(first_row + a_first + 16u * j, rows - 1u));
    }
    for (var j = 0u; j < COLUMNS; j++) {
        b_columns[j] = b_column(grid, batch, min(first_column + b_first + 16u * j, columns - 1u));
    }

    var total: array<f32, ROWS * COLUMNS>;
    var part: array<f32, ROWS * COLUMNS>;
    for (var e = 0u; e < ROWS * COLUMNS; e++) {
        total[e] = 0.0;
        part[e] = 0.0;
    }
    // What the next step needs is on its way while the sums of this one are formed.
    var a_next: array<f32, ROWS>;
    var b_next: array<f32, COLUMNS>;
    for (var start = begin; start < end + TERMS; start += TERMS) {
        for (var j = 0u; j < ROWS; j++) {
            a_next[j] = 0.0;
        }
        for (var j = 0u; j < COLUMNS; j++) {
            b_next[j] = 0.0;
        }
        if (start + a_of_step < end) {
            let term = a_term(grid, start + a_of_step);
            for (var j = 0u; j < ROWS; j++) {
                a_next[j] = a_value(a_rows[j], term);
            }
        }
        if (start + b_of_step < end) {
            let term = b_term(grid, start + b_of_step);
            for (var j = 0u; j < COLUMNS; j++) {
                b_next[j] = b_value(b_columns[j], term);
            }
        }
        if (start > begin) {
            for (var first = 0u; first < TERMS; first += UNROLLED) {
                for (var next = 0u; next < UNROLLED; next++) {
                    let k = first + next;
                    var b: array<f32, COLUMNS>;
                    for (var j = 0u; j < COLUMNS; j++) {
                        b[j] = tile_b[k * B_PITCH + x + 16u * j];
                    }
                    for (var i = 0u; i < ROWS; i++) {
                        let a = tile_a[k * A_PITCH + y * ROWS + i];
                        for (var j = 0u; j < COLUMNS; j++) {
                            part[i * COLUMNS + j] += a * b[j];
                        }
                    }
                }
            }
            if ((start - begin) % RUN == 0u) {
                for (var e = 0u; e < ROWS * COLUMNS; e++) {
                    total[e] += part[e];
                    part[e] = 0.0;
                }
            }
            workgroupBarrier();
        }
        for (var j = 0u; j < ROWS; j++) {
            tile_a[a_of_step * A_PITCH + a_first + 16u * j] = a_next[j];
        }
        for (var j = 0u; j < COLUMNS; j++) {
            tile_b[b_of_step * B_PITCH + b_first + 16u * j] = b_next[j];
        }
        workgroupBarrier();
    }

    let out = word(grid, 7u) + batch * word(grid, 8u) + split * word(grid, 10u);
    for (var i = 0u; i < ROWS; i++) {
        let row = first_row + y * ROWS + i;
        for (var j = 0u; j < COLUMNS; j++) {
            let column = first_column + x + 16u * j;
            if (row < rows && column < columns) {
                var value = total[i * COLUMNS + j] + part[i * COLUMNS + j];
                if (word(grid, 11u) != 0u) {
                    value += load(word(grid, 12u) + batch * word(grid, 13u) + column);
                }
                store(out + row * word(grid, 9u) + column, value);
            }
        }
    }
}
