//! How the elements of a stored value are read: an offset and a stride for each axis, as permuting, broadcasting, slicing and
//! reshaping have left them.
use tslip_graph::gpu::Rearrange;
use tslip_graph::spec::strides;

/// A value as something reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The stored value.
    pub source: usize,
    /// Extents as the reader sees them.
    pub shape: Vec<usize>,
    /// Distance in words along each axis; 0 where an element is repeated.
    pub strides: Vec<usize>,
    /// Words before the first element.
    pub offset: usize,
}

impl Access {
    /// All elements in row-major order.
    pub fn whole(source: usize, shape: &[usize]) -> Self {
        Access { source, shape: shape.to_vec(), strides: strides(shape), offset: 0 }
    }

    /// Number of elements seen.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of words that hold them.
    pub fn distinct(&self) -> usize {
        self.shape.iter().zip(&self.strides).filter(|(_, stride)| **stride != 0).map(|(extent, _)| extent).product()
    }

    /// Whether the elements lie row-major without gaps.
    pub fn is_contiguous(&self) -> bool {
        let dense = strides(&self.shape);
        self.len() == 0 || self.axes().all(|i| self.strides[i] == dense[i])
    }

    /// Whether every element is the same word.
    pub fn is_repeated(&self) -> bool {
        self.axes().all(|i| self.strides[i] == 0)
    }

    /// Axes of more than one element.
    fn axes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.shape.len()).filter(|&i| self.shape[i] != 1)
    }

    /// The same elements, arranged otherwise; `None` where a reshape would need them moved.
    pub fn rearranged(&self, how: &Rearrange, shape: &[usize]) -> Option<Access> {
        let strides = match how {
            Rearrange::Permute(axes) => axes.iter().map(|&a| self.strides[a]).collect(),
            Rearrange::Broadcast => {
                let lead = shape.len() - self.shape.len();
                let stride = |i: usize| match i.checked_sub(lead) {
                    Some(own) if self.shape[own] == shape[i] => self.strides[own],
                    _ => 0,
                };
                (0..shape.len()).map(stride).collect()
            }
            Rearrange::Slice { step, .. } => self.strides.iter().zip(step).map(|(s, step)| s * step).collect(),
            Rearrange::Reshape => self.reshaped(shape)?,
            Rearrange::Start => self.is_contiguous().then(|| strides(shape))?,
        };
        let start = match how {
            Rearrange::Slice { start, .. } => start.iter().zip(&self.strides).map(|(a, s)| a * s).sum(),
            _ => 0,
        };
        Some(Access { source: self.source, shape: shape.to_vec(), strides, offset: self.offset + start })
    }

    /// How `operand`, which an elementwise op over `shape` reads, is read by one that computes the elements of that op that
    /// this access names, in their order; `None` where they are cut anew.
    pub fn through(&self, shape: &[usize], operand: &Access) -> Option<Access> {
        if self.offset != 0 {
            return None;
        }
        let read = |strides: Vec<usize>| {
            Some(Access { source: operand.source, shape: self.shape.clone(), strides, offset: operand.offset })
        };
        // An operand in the order of the op's own elements is read as these are.
        if operand.is_contiguous() && operand.len() == shape.iter().product::<usize>() {
            return read(self.strides.clone());
        }
        if operand.is_repeated() {
            return read(vec![0; self.shape.len()]);
        }
        let dense = strides(shape);
        let of_axis = |i: usize| match (self.shape[i], self.strides[i]) {
            (1, _) | (_, 0) => Some(0),
            (extent, stride) => {
                let axis = (0..shape.len()).find(|&a| shape[a] == extent && dense[a] == stride)?;
                Some(operand.strides[axis])
            }
        };
        read((0..self.shape.len()).map(of_axis).collect::<Option<Vec<usize>>>()?)
    }

    /// Strides under which the elements appear in another shape: runs of axes that lie without gaps are cut anew.
    fn reshaped(&self, shape: &[usize]) -> Option<Vec<usize>> {
        if self.len() == 0 {
            return Some(strides(shape));
        }
        let old: Vec<(usize, usize)> = self.axes().map(|i| (self.shape[i], self.strides[i])).collect();
        let mut out = vec![0; shape.len()];
        let (mut from, mut to) = (0, 0);
        while from < old.len() {
            // The shortest runs of old and of new axes that hold equally many elements.
            let (mut a, mut b) = (old[from].0, 1);
            let first = from;
            from += 1;
            let begin = to;
            while a != b {
                if b < a {
                    b *= shape[to];
                    to += 1;
                } else {
                    a *= old[from].0;
                    from += 1;
                }
            }
            let run = &old[first..from];
            if run.windows(2).any(|pair| pair[0].1 != pair[1].1 * pair[1].0) {
                return None;
            }
            let mut stride = run[run.len() - 1].1;
            for axis in (begin..to).rev() {
                out[axis] = stride;
                stride *= shape[axis];
            }
        }
        Some(out)
    }
}

/// A shape without its axes of one element.
pub fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&n| n != 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(access: &Access) -> Vec<usize> {
        let dense = strides(&access.shape);
        let at = |i: usize| {
            let axes = access.shape.iter().zip(&dense).zip(&access.strides);
            access.offset + axes.map(|((n, d), s)| i / d % n * s).sum::<usize>()
        };
        (0..access.len()).map(at).collect()
    }

    #[test]
    fn rearranged_accesses_read_the_elements_that_the_rearrangement_names() {
        let x = Access::whole(0, &[2, 3, 4]);
        let p = x.rearranged(&Rearrange::Permute(vec![2, 0, 1]), &[4, 2, 3]).unwrap();
        assert_eq!(elements(&p)[..7], [0, 4, 8, 12, 16, 20, 1]);
        let merged = p.rearranged(&Rearrange::Reshape, &[4, 1, 6]).unwrap();
        assert_eq!(elements(&merged), elements(&p));
        assert_eq!(p.rearranged(&Rearrange::Reshape, &[8, 3]), None);
        let slice = Rearrange::Slice { start: vec![1, 0, 1], step: vec![1, 2, 2] };
        let s = x.rearranged(&slice, &[1, 2, 2]).unwrap();
        assert_eq!(elements(&s), [13, 15, 21, 23]);
        let b = Access::whole(0, &[3, 1]).rearranged(&Rearrange::Broadcast, &[2, 3, 2]).unwrap();
        assert_eq!(elements(&b), [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
        assert!(!b.is_contiguous() && !b.is_repeated());
        assert_eq!((x.distinct(), s.distinct(), b.distinct()), (24, 4, 3));
        let one = Access::whole(0, &[1]).rearranged(&Rearrange::Broadcast, &[2, 3]).unwrap();
        assert!(one.is_repeated() && elements(&one.rearranged(&Rearrange::Reshape, &[6]).unwrap()) == [0; 6]);
        // Of y[i, j] = f(x[j]) the transpose reads x[i] at i, j.
        let bias = Access::whole(1, &[4]).rearranged(&Rearrange::Broadcast, &[3, 4]).unwrap();
        let turned = Access::whole(0, &[3, 4]).rearranged(&Rearrange::Permute(vec![1, 0]), &[4, 3]).unwrap();
        assert_eq!(elements(&turned.through(&[3, 4], &bias).unwrap()), [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
        let cut = Access::whole(0, &[3, 4]).rearranged(&Rearrange::Reshape, &[2, 6]).unwrap();
        assert_eq!(cut.through(&[3, 4], &bias), None);
        assert_eq!(elements(&Access::whole(0, &[1, 1]).rearranged(&Rearrange::Reshape, &[]).unwrap()), [0]);
    }
}
