// C = A B in tiles: a workgroup of 16 x 16 invocations computes 16 ROWS x 16 COLUMNS elements, each invocation ROWS x COLUMNS of
// them in registers, begin 16 terms at a time in workgroup memory. What A and B are is said by the text before this one:
//   a_row(job, batch, row), a_term(job, term), a_value(row, term)        an element of A, 0 where there is none
//   b_column(job, batch, column), b_term(job, term), b_value(column, term)   an element of B
// Words: 0 rows, 1 columns, 2 terms, 3 tiles down, 4 tiles across, 5 splits, 6 terms of a split, 7 first word of C, 8, 9, 10
// distance of one batch, row, split of C to the next, 11 whether there is a bias, 12 its first word, 13 its distance of
// one batch to the next; the operands' own follow.

const TERMS: u32 = 16u;
// Terms that are summed in one run before they are added to the rest: errors grow with the length of a run.
const RUN: u32 = 128u;
const TILE_ROWS: u32 = 16u * ROWS;
const TILE_COLUMNS: u32 = 16u * COLUMNS;

var<workgroup> tile_a: array<f32, TERMS * TILE_ROWS>;
var<workgroup> tile_b: array<f32, TERMS * TILE_COLUMNS>;

fn run(job: Job, local: u32) {
    let rows = word(job, 0u);
    let columns = word(job, 1u);
    let tiles_down = word(job, 3u);
    let tiles_across = word(job, 4u);
    let splits = word(job, 5u);
    var rest = job.group;
    let first_column = (rest % tiles_across) * TILE_COLUMNS;
    rest = rest / tiles_across;
    let first_row = (rest % tiles_down) * TILE_ROWS;
    rest = rest / tiles_down;
    let split = rest % splits;
    let batch = rest / splits;
    let begin = split * word(job, 6u);
    let end = min(begin + word(job, 6u), word(job, 2u));

    // The elements that this invocation brings: neighbours bring neighbours in memory.
    var a_rows: array<ARow, ROWS>;
    var b_columns: array<BColumn, COLUMNS>;
    for (var j = 0u; j < ROWS; j++) {
        a_rows[j] = a_row(job, batch, min(first_row + row_of(local, j), rows - 1u));
    }
    for (var j = 0u; j < COLUMNS; j++) {
        b_columns[j] = b_column(job, batch, min(first_column + column_of(local, j), columns - 1u));
    }

    var total: array<f32, ROWS * COLUMNS>;
    var part: array<f32, ROWS * COLUMNS>;
    for (var e = 0u; e < ROWS * COLUMNS; e++) {
        total[e] = 0.0;
        part[e] = 0.0;
    }
    let y = local / 16u;
    let x = local % 16u;
    for (var start = begin; start < end; start += TERMS) {
        for (var j = 0u; j < ROWS; j++) {
            let term = start + a_term_of(local, j);
            var value = 0.0;
            if (term < end) {
                value = a_value(a_rows[j], a_term(job, term));
            }
            tile_a[a_term_of(local, j) * TILE_ROWS + row_of(local, j)] = value;
        }
        for (var j = 0u; j < COLUMNS; j++) {
            let term = start + b_term_of(local, j);
            var value = 0.0;
            if (term < end) {
                value = b_value(b_columns[j], b_term(job, term));
            }
            tile_b[b_term_of(local, j) * TILE_COLUMNS + column_of(local, j)] = value;
        }
        workgroupBarrier();
        for (var k = 0u; k < TERMS; k++) {
            var b: array<f32, COLUMNS>;
            for (var j = 0u; j < COLUMNS; j++) {
                b[j] = tile_b[k * TILE_COLUMNS + x + 16u * j];
            }
            for (var i = 0u; i < ROWS; i++) {
                let a = tile_a[k * TILE_ROWS + y * ROWS + i];
                for (var j = 0u; j < COLUMNS; j++) {
                    part[i * COLUMNS + j] += a * b[j];
                }
            }
        }
        workgroupBarrier();
        if ((start - begin) % RUN == RUN - TERMS) {
            for (var e = 0u; e < ROWS * COLUMNS; e++) {
                total[e] += part[e];
                part[e] = 0.0;
            }
        }
    }

    let out = word(job, 7u) + batch * word(job, 8u) + split * word(job, 10u);
    for (var i = 0u; i < ROWS; i++) {
        let row = first_row + y * ROWS + i;
        for (var j = 0u; j < COLUMNS; j++) {
            let column = first_column + x + 16u * j;
            if (row < rows && column < columns) {
                var value = total[i * COLUMNS + j] + part[i * COLUMNS + j];
                if (word(job, 11u) != 0u) {
                    value += load(word(job, 12u) + batch * word(job, 13u) + column);
                }
                store(out + row * word(job, 9u) + column, value);
            }
        }
    }
}

fn row_of(local: u32, j: u32) -> u32 {
    let e = local + 256u * j;
    return select(e / TERMS, e % TILE_ROWS, A_ROWS_TOGETHER == 1u);
}

fn a_term_of(local: u32, j: u32) -> u32 {
    let e = local + 256u * j;
    return select(e % TERMS, e / TILE_ROWS, A_ROWS_TOGETHER == 1u);
}

fn column_of(local: u32, j: u32) -> u32 {
    let e = local + 256u * j;
    return select(e / TERMS, e % TILE_COLUMNS, B_COLUMNS_TOGETHER == 1u);
}

fn b_term_of(local: u32, j: u32) -> u32 {
    let e = local + 256u * j;
    return select(e % TERMS, e / TILE_COLUMNS, B_COLUMNS_TOGETHER == 1u);
}
