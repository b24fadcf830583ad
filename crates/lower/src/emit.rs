//! The text of a kernel of elementwise ops, and its operands.
use std::collections::HashMap;
use std::fmt::Write;
use tslip_graph::DType;
use tslip_graph::gpu::{Kernel, WORKGROUP, element};

use crate::access::{Access, squeezed};
use crate::dispatch::{Grid, Location, Word};
use crate::levels::{Group, Link, is_recomputed, link};
use crate::value::{Computation, Value};
use crate::wgsl;

/// Axes that every kernel with strides has at least.
const AXES: usize = 4;

/// How an invocation finds its element of an operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The same word for all.
    Repeated,
    /// Word i for element i.
    Linear,
    /// By a stride for each axis.
    Strided,
}

/// A kernel as it is written: operands and statements in the order of their first use.
struct Writer<'a> {
    values: &'a [Value],
    group: &'a Group,
    len: usize,
    operands: Vec<(Access, DType, Reach)>,
    lines: String,
    functions: Vec<&'static str>,
    words: Vec<u32>,
    /// The variable that holds a value.
    variables: HashMap<usize, String>,
}

/// The operands that a group's kernel reads from memory.
pub fn reads(values: &[Value], group: &Group) -> Vec<Access> {
    Writer::new(values, group).operands.into_iter().map(|o| o.0).collect()
}

/// What a group is called: its ops.
pub fn name(values: &[Value], group: &Group) -> String {
    let mut names: Vec<&str> = Vec::new();
    for &member in &group.members {
        if let Computation::Elementwise { name, .. } = values[member].computation
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names.join(" ")
}

/// The kernel of a group and what it is run on.
pub fn kernel(values: &[Value], group: &Group, locations: &[Option<Location>]) -> (String, Grid) {
    let writer = Writer::new(values, group);
    let location =
        |value: usize| locations[value].unwrap_or_else(|| unreachable!("value {value} is used but not stored"));
    let axes = writer.axes();
    let strided = writer.operands.iter().any(|o| o.2 == Reach::Strided);
    let mut words = vec![Word::Plain(writer.len as u32)];
    let mut text = String::from("fn run(grid: Grid, local: u32) {\n    let i = grid.group * WORKGROUP + local;\n");
    text.push_str("    if (i >= word(grid, 0u)) { return; }\n");
    if strided {
        text.push_str("    var rest = i;\n");
        for axis in (1..axes.len()).rev() {
            line(&mut text, format_args!("let size{axis} = word(grid, {}u);", words.len()));
            line(&mut text, format_args!("let c{axis} = rest % size{axis}; rest = rest / size{axis};"));
            words.push(Word::Plain(axes[axis] as u32));
        }
        text.push_str("    let c0 = rest;\n");
    }
    for (k, (access, dtype, reach)) in writer.operands.iter().enumerate() {
        let base = format!("word(grid, {}u)", words.len());
        words.push(Word::At(location(access.source), access.offset));
        let at = match reach {
            Reach::Repeated => base,
            Reach::Linear => format!("{base} + i"),
            Reach::Strided => {
                let mut at = base;
                for (axis, stride) in writer.strides(access, axes.len()).into_iter().enumerate() {
                    let _ = write!(at, " + c{axis} * word(grid, {}u)", words.len());
                    words.push(Word::Plain(stride as u32));
                }
                at
            }
        };
        line(&mut text, format_args!("let x{k} = {};", read(*dtype, &at)));
    }
    let first = words.len();
    for (k, &word) in writer.words.iter().enumerate() {
        line(&mut text, format_args!("let w{k} = word(grid, {}u);", first + k));
        words.push(Word::Plain(word));
    }
    text.push_str(&writer.lines);
    for &member in &group.stored {
        let value = writer.variables[&member].clone();
        let bits = match values[member].spec.dtype {
            DType::F32 | DType::I32 => format!("bitcast<u32>({value})"),
            DType::U8 => value,
            DType::Bool => format!("select(0u, 1u, {value})"),
        };
        line(&mut text, format_args!("heap[word(grid, {}u) + i] = {bits};", words.len()));
        words.push(Word::At(location(member), 0));
    }
    text.push_str("}\n");
    let mut module = wgsl::module(&Kernel {
        name: "elementwise",
        sources: writer.functions,
        constants: Vec::new(),
        workgroup: WORKGROUP,
    });
    module.push_str(&text);
    (module, Grid { words, groups: writer.len.div_ceil(WORKGROUP as usize) })
}

fn line(text: &mut String, of: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "    {of}");
}

fn read(dtype: DType, at: &str) -> String {
    match dtype {
        DType::F32 => format!("bitcast<f32>(heap[{at}])"),
        DType::I32 => format!("bitcast<i32>(heap[{at}])"),
        DType::U8 => format!("heap[{at}]"),
        DType::Bool => format!("heap[{at}] != 0u"),
    }
}

impl<'a> Writer<'a> {
    fn new(values: &'a [Value], group: &'a Group) -> Self {
        let len = values[group.members[0]].spec.len();
        let mut writer = Writer {
            values,
            group,
            len,
            operands: Vec::new(),
            lines: String::new(),
            functions: Vec::new(),
            words: Vec::new(),
            variables: HashMap::new(),
        };
        group.stored.iter().for_each(|&member| {
            writer.value(member);
        });
        writer
    }

    /// The variable that holds a value; where there is none yet, statements are added.
    fn value(&mut self, v: usize) -> String {
        if let Some(name) = self.variables.get(&v) {
            return name.clone();
        }
        let values = self.values;
        let value = &values[v];
        let Computation::Elementwise { function, operands, .. } = &value.computation else {
            unreachable!("a kernel computes elementwise ops alone")
        };
        let member = self.group.members.contains(&v);
        let names: Vec<String> = operands
            .iter()
            .map(|access| {
                let held = match link(values, value, access) {
                    Link::Register => {
                        !member
                            || self.group.members.contains(&access.source)
                            || is_recomputed(values, v, access.source)
                    }
                    Link::Inline => true,
                    Link::Memory => false,
                };
                if held { self.value(access.source) } else { self.operand(access) }
            })
            .collect();
        let first = self.words.len();
        self.words.extend(&function.words);
        for text in &function.functions {
            if !self.functions.contains(text) {
                self.functions.push(text);
            }
        }
        let index = if member { "i" } else { "0u" };
        let expression = substitute(&function.expression, &names, first, index);
        let name = format!("v{}", self.variables.len());
        line(&mut self.lines, format_args!("let {name}: {} = {expression};", element(value.spec.dtype)));
        self.variables.insert(v, name.clone());
        name
    }

    fn operand(&mut self, access: &Access) -> String {
        let reach = if access.is_contiguous() && access.len() == self.len {
            Reach::Linear
        } else if access.is_repeated() {
            Reach::Repeated
        } else {
            Reach::Strided
        };
        let known = self.operands.iter().position(|(other, ..)| {
            let same = other.source == access.source && other.offset == access.offset;
            let arranged = || squeezed(&other.shape) == squeezed(&access.shape) && moving(other) == moving(access);
            same && (other.is_repeated() && access.is_repeated() || arranged())
        });
        let index = known.unwrap_or_else(|| {
            let dtype = self.values[access.source].spec.dtype;
            self.operands.push((access.clone(), dtype, reach));
            self.operands.len() - 1
        });
        format!("x{index}")
    }

    /// The fewest axes along which all strided operands have one stride each.
    fn axes(&self) -> Vec<usize> {
        let extents = self.merged().into_iter().map(|run| run.iter().map(|&(n, _)| n).product());
        padded(1, extents.collect())
    }

    /// Runs of squeezed axes (extent, index) that every strided operand crosses without a jump.
    fn merged(&self) -> Vec<Vec<(usize, usize)>> {
        let strided: Vec<&Access> = self.operands.iter().filter(|o| o.2 == Reach::Strided).map(|o| &o.0).collect();
        let Some(first) = strided.first() else { return Vec::new() };
        let shape = squeezed(&first.shape);
        let strides: Vec<Vec<usize>> = strided.iter().map(|a| moving(a)).collect();
        let mut runs: Vec<Vec<(usize, usize)>> = Vec::new();
        for (axis, &n) in shape.iter().enumerate() {
            let joins = axis > 0 && strides.iter().all(|s| s[axis - 1] == s[axis] * n);
            match runs.last_mut() {
                Some(run) if joins => run.push((n, axis)),
                _ => runs.push(vec![(n, axis)]),
            }
        }
        runs
    }

    /// Strides of an operand along the merged axes.
    fn strides(&self, access: &Access, count: usize) -> Vec<usize> {
        let own = moving(access);
        let out = self.merged().iter().filter_map(|run| run.last()).map(|&(_, axis)| own[axis]).collect();
        let out = padded(0, out);
        debug_assert_eq!(out.len(), count);
        out
    }
}

/// Axes in front, so that kernels over tensors of few axes are the same text.
fn padded(with: usize, axes: Vec<usize>) -> Vec<usize> {
    let missing = AXES.saturating_sub(axes.len());
    std::iter::repeat_n(with, missing).chain(axes).collect()
}

/// Strides of the axes that have more than one element.
fn moving(access: &Access) -> Vec<usize> {
    access.shape.iter().zip(&access.strides).filter(|(n, _)| **n != 1).map(|(_, &s)| s).collect()
}

/// An expression with variables in the place of `$0`, `$w0` and `$i`.
fn substitute(expression: &str, operands: &[String], first_word: usize, index: &str) -> String {
    let mut out = String::new();
    let mut rest = expression;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let kind = rest.chars().next();
        if matches!(kind, Some('i' | 'w')) {
            rest = &rest[1..];
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: usize = rest[..digits].parse().unwrap_or(0);
        match kind {
            Some('i') => out.push_str(index),
            Some('w') => {
                let _ = write!(out, "w{}", first_word + number);
                rest = &rest[digits..];
            }
            _ => {
                out.push_str(&operands[number]);
                rest = &rest[digits..];
            }
        }
    }
    out + rest
}
