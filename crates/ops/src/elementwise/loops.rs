//! Walks the operands of an elementwise op together, as NumPy broadcasting lays them out.
use tslip_graph::spec::strides;

use crate::support::Work;

/// Loops over a row-major output of `K` broadcast operands, with extents that lie alike in memory merged into one.
#[derive(Debug)]
pub struct Loops<const K: usize> {
    outer: Vec<Loop<K>>,
    /// Elements of the innermost loop.
    pub count: usize,
    /// How far each operand moves in the innermost loop: 1, or 0 where one element serves all.
    pub steps: [usize; K],
}

#[derive(Clone, Copy, Debug)]
struct Loop<const K: usize> {
    count: usize,
    steps: [usize; K],
}

impl<const K: usize> Loops<K> {
    /// The loops that bring operands of these shapes to `output`.
    pub fn new(output: &[usize], operands: [&[usize]; K]) -> Self {
        let all: [Vec<usize>; K] = operands.map(|shape| broadcast_strides(shape, output.len()));
        let mut outer: Vec<Loop<K>> = Vec::with_capacity(output.len());
        for (axis, &count) in output.iter().enumerate().filter(|&(_, &count)| count != 1) {
            let steps: [usize; K] = std::array::from_fn(|k| all[k][axis]);
            match outer.last_mut() {
                Some(last) if (0..K).all(|k| last.steps[k] == count * steps[k]) => {
                    *last = Loop { count: last.count * count, steps };
                }
                _ => outer.push(Loop { count, steps }),
            }
        }
        let inner = outer.pop().unwrap_or(Loop { count: 1, steps: [0; K] });
        Loops { outer, count: inner.count, steps: inner.steps }
    }

    /// Where the operands stand at the start of each run of the innermost loop, in the order of the output.
    #[inline(always)]
    pub fn starts(&self) -> Starts<'_, K> {
        let left = if self.count == 0 { 0 } else { self.outer.iter().map(|l| l.count).product() };
        Starts { outer: &self.outer, index: vec![0; self.outer.len()], at: [0; K], left }
    }
}

/// Strides of a broadcast operand along the axes of the output; 0 where it is repeated.
fn broadcast_strides(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut out = vec![0; rank - shape.len()];
    out.extend(shape.iter().zip(strides(shape)).map(|(&extent, stride)| if extent == 1 { 0 } else { stride }));
    out
}

/// See [`Loops::starts`].
#[derive(Debug)]
pub struct Starts<'a, const K: usize> {
    outer: &'a [Loop<K>],
    index: Vec<usize>,
    at: [usize; K],
    left: usize,
}

impl<const K: usize> Iterator for Starts<'_, K> {
    type Item = [usize; K];

    #[inline(always)]
    fn next(&mut self) -> Option<[usize; K]> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let here = self.at;
        for (axis, index) in self.outer.iter().zip(&mut self.index).rev() {
            *index += 1;
            for k in 0..K {
                self.at[k] += axis.steps[k];
            }
            if *index < axis.count {
                break;
            }
            *index = 0;
            for k in 0..K {
                self.at[k] -= axis.count * axis.steps[k];
            }
        }
        Some(here)
    }
}

/// `y[i] = f(x[i])`.
pub struct Each<'a, X, Y, F> {
    pub x: &'a [X],
    pub y: &'a mut [Y],
    pub f: F,
}

impl<X: Copy, Y, F: Fn(X) -> Y> Work for Each<'_, X, Y, F> {
    #[inline(always)]
    fn run(self) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = (self.f)(x);
        }
    }
}

/// `y[i] = f(a[i], b[i])` with broadcasting.
pub struct Zip<'a, A, B, Y, F> {
    pub loops: Loops<2>,
    pub a: &'a [A],
    pub b: &'a [B],
    pub y: &'a mut [Y],
    pub f: F,
}

impl<A: Copy, B: Copy, Y, F: Fn(A, B) -> Y> Work for Zip<'_, A, B, Y, F> {
    #[inline(always)]
    fn run(self) {
        let Zip { loops, a, b, y, f } = self;
        let n = loops.count;
        for ([i, j], y) in loops.starts().zip(y.chunks_exact_mut(n.max(1))) {
            match loops.steps {
                [1, 1] => {
                    for (y, (&a, &b)) in y.iter_mut().zip(a[i..i + n].iter().zip(&b[j..j + n])) {
                        *y = f(a, b);
                    }
                }
                [1, _] => {
                    let b = b[j];
                    for (y, &a) in y.iter_mut().zip(&a[i..i + n]) {
                        *y = f(a, b);
                    }
                }
                [0, 1] => {
                    let a = a[i];
                    for (y, &b) in y.iter_mut().zip(&b[j..j + n]) {
                        *y = f(a, b);
                    }
                }
                _ => y.iter_mut().for_each(|y| *y = f(a[i], b[j])),
            }
        }
    }
}

/// `y[i] = condition[i] ? a[i] : b[i]` with broadcasting.
pub struct Select<'a, T> {
    pub loops: Loops<3>,
    pub condition: &'a [u8],
    pub a: &'a [T],
    pub b: &'a [T],
    pub y: &'a mut [T],
}

impl<T: Copy> Work for Select<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Select { loops, condition, a, b, y } = self;
        let n = loops.count;
        for ([c, i, j], y) in loops.starts().zip(y.chunks_exact_mut(n.max(1))) {
            match loops.steps {
                [1, 1, 1] => {
                    let (c, a, b) = (&condition[c..c + n], &a[i..i + n], &b[j..j + n]);
                    for (k, y) in y.iter_mut().enumerate() {
                        let both = [b[k], a[k]];
                        *y = if c[k] != 0 { both[1] } else { both[0] };
                    }
                }
                [1, 1, 0] => {
                    let b = b[j];
                    for (y, (&c, &a)) in y.iter_mut().zip(condition[c..c + n].iter().zip(&a[i..i + n])) {
                        *y = if c != 0 { a } else { b };
                    }
                }
                [1, 0, 1] => {
                    let a = a[i];
                    for (y, (&c, &b)) in y.iter_mut().zip(condition[c..c + n].iter().zip(&b[j..j + n])) {
                        *y = if c != 0 { a } else { b };
                    }
                }
                [_, step_a, step_b] => {
                    for (k, y) in y.iter_mut().enumerate() {
                        *y = if condition[c + k * loops.steps[0]] != 0 { a[i + k * step_a] } else { b[j + k * step_b] };
                    }
                }
            }
        }
    }
}
