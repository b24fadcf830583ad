//! Calls CPU kernels on arrays of f64, as unkindly as a caller may: buffers that are not aligned to a cache line, output
//! and scratch full of rubbish, and a guard behind the scratch.
use ndarray::ArrayD;
use std::collections::HashMap;
use std::ops::Range;
use tslip_graph::arrange::live;
use tslip_graph::{Call, DType, Data, DataMut, Graph, Kind, NodeId, Op, Spec, View, ViewMut};

/// Elements in the form that kernels take; one more lies before the first.
#[derive(Clone, Debug)]
pub enum Buffer {
    F32(Vec<f32>),
    I32(Vec<i32>),
    U8(Vec<u8>),
    Bool(Vec<u8>),
}

const GUARD: f32 = 12345.5;

impl Buffer {
    /// The values as `dtype`.
    pub fn of(values: impl IntoIterator<Item = f64>, dtype: DType) -> Self {
        let all = std::iter::once(1.0).chain(values);
        match dtype {
            DType::F32 => Buffer::F32(all.map(|v| v as f32).collect()),
            DType::I32 => Buffer::I32(all.map(|v| v as i32).collect()),
            DType::U8 => Buffer::U8(all.map(|v| v as u8).collect()),
            DType::Bool => Buffer::Bool(all.map(|v| v as u8).collect()),
        }
    }

    /// What memory may hold before an output is written.
    pub fn rubbish(len: usize, dtype: DType) -> Self {
        let value = if dtype == DType::F32 { f64::NAN } else { 77.0 };
        Buffer::of((0..len).map(|_| value), dtype)
    }

    pub fn data(&self, range: Range<usize>) -> Data<'_> {
        let range = range.start + 1..range.end + 1;
        match self {
            Buffer::F32(x) => Data::F32(&x[range]),
            Buffer::I32(x) => Data::I32(&x[range]),
            Buffer::U8(x) => Data::U8(&x[range]),
            Buffer::Bool(x) => Data::Bool(&x[range]),
        }
    }

    pub fn data_mut(&mut self, range: Range<usize>) -> DataMut<'_> {
        let range = range.start + 1..range.end + 1;
        match self {
            Buffer::F32(x) => DataMut::F32(&mut x[range]),
            Buffer::I32(x) => DataMut::I32(&mut x[range]),
            Buffer::U8(x) => DataMut::U8(&mut x[range]),
            Buffer::Bool(x) => DataMut::Bool(&mut x[range]),
        }
    }

    /// The elements as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Buffer::F32(x) => x[1..].iter().flat_map(|v| v.to_le_bytes()).collect(),
            Buffer::I32(x) => x[1..].iter().flat_map(|v| v.to_le_bytes()).collect(),
            Buffer::U8(x) | Buffer::Bool(x) => x[1..].to_vec(),
        }
    }

    /// The elements, exactly.
    pub fn values(&self) -> Vec<f64> {
        match self {
            Buffer::F32(x) => x[1..].iter().map(|&v| f64::from(v)).collect(),
            Buffer::I32(x) => x[1..].iter().map(|&v| f64::from(v)).collect(),
            Buffer::U8(x) | Buffer::Bool(x) => x[1..].iter().map(|&v| f64::from(v)).collect(),
        }
    }

    /// The elements bit by bit; every NaN is the same one.
    pub fn bits(&self) -> Vec<u64> {
        self.values().into_iter().map(|v| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() }).collect()
    }

    /// The elements as an array.
    pub fn array(&self, shape: &[usize]) -> ArrayD<f64> {
        ArrayD::from_shape_vec(shape, self.values()).expect("a buffer holds what its shape says")
    }
}

/// An operand: its elements, type and the shape of the whole.
#[derive(Clone, Debug)]
pub struct Operand {
    pub buffer: Buffer,
    pub shape: Vec<usize>,
}

impl Operand {
    pub fn new(values: &ArrayD<f64>, dtype: DType) -> Self {
        Operand { buffer: Buffer::of(values.iter().copied(), dtype), shape: values.shape().to_vec() }
    }
}

/// Calls the kernel; `parts[i]` are the rows of operand i it is given (`None`: all), likewise `rows` of the output.
pub fn call(
    op: &dyn Op,
    operands: &[Operand],
    parts: &[Option<Range<usize>>],
    whole: &[usize],
    output: &mut Buffer,
    rows: Option<Range<usize>>,
) {
    let cut = |shape: &[usize], rows: &Option<Range<usize>>| -> (Vec<usize>, Range<usize>) {
        match rows {
            None => (shape.to_vec(), 0..shape.iter().product()),
            Some(rows) => {
                let row: usize = shape[1..].iter().product();
                let mut part = shape.to_vec();
                part[0] = rows.len();
                (part, rows.start * row..rows.end * row)
            }
        }
    };
    let cuts: Vec<_> = operands.iter().zip(parts).map(|(o, part)| cut(&o.shape, part)).collect();
    let views: Vec<View<'_>> = (operands.iter().zip(&cuts))
        .map(|(o, (shape, range))| View { shape, data: o.buffer.data(range.clone()) })
        .collect();
    let shapes: Vec<&[usize]> = cuts.iter().map(|c| c.0.as_slice()).collect();
    let (shape, range) = cut(whole, &rows);
    let need = op.scratch(&shapes, &shape);
    let mut scratch = vec![f32::NAN; need];
    scratch.resize(need + 64, GUARD);
    let data = output.data_mut(range);
    op.cpu(Call { inputs: &views, output: ViewMut { shape: &shape, data }, scratch: &mut scratch[..need] });
    assert!(scratch[need..].iter().all(|&v| v == GUARD), "{} wrote behind its scratch", op.name());
}

/// Calls the kernel on complete operands.
pub fn whole(op: &dyn Op, operands: &[Operand], output: &Spec) -> Buffer {
    let mut buffer = if op.accumulates() {
        Buffer::of(std::iter::repeat_n(0.0, output.len()), output.dtype)
    } else {
        Buffer::rubbish(output.len(), output.dtype)
    };
    call(op, operands, &vec![None; operands.len()], &output.shape, &mut buffer, None);
    buffer
}

/// Calls the kernels of a graph one after another; values of `wanted`.
pub fn run(graph: &Graph, leaves: &[(NodeId, Operand)], wanted: &[NodeId]) -> Vec<Buffer> {
    let mut values: HashMap<NodeId, Operand> = leaves.iter().cloned().collect();
    for id in live(graph, wanted) {
        let node = graph.node(id);
        let Kind::Op(op) = &node.kind else { continue };
        let operands: Vec<Operand> = node.inputs.iter().map(|input| values[input].clone()).collect();
        let buffer = whole(op.as_ref(), &operands, &node.spec);
        values.insert(id, Operand { buffer, shape: node.spec.shape.clone() });
    }
    wanted.iter().map(|id| values[id].buffer.clone()).collect()
}
