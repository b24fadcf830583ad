//! The slow reference of the tests: one-sided Jacobi in double-double arithmetic, about 32 digits.

/// An unevaluated sum of two float64 (Dekker 1971; Hida, Li and Bailey 2001).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dd(f64, f64);

impl From<f64> for Dd {
    fn from(x: f64) -> Self {
        Dd(x, 0.0)
    }
}

impl Dd {
    fn sum(a: f64, b: f64) -> Self {
        let s = a + b;
        let t = s - a;
        Dd(s, (a - (s - t)) + (b - t))
    }

    pub(crate) fn plus(self, b: Dd) -> Self {
        let (high, low) = (Dd::sum(self.0, b.0), Dd::sum(self.1, b.1));
        let first = Dd::sum(high.0, high.1 + low.0);
        Dd::sum(first.0, first.1 + low.1)
    }

    pub(crate) fn minus(self, b: Dd) -> Self {
        self.plus(Dd(-b.0, -b.1))
    }

    pub(crate) fn times(self, b: Dd) -> Self {
        let p = self.0 * b.0;
        let low = self.0.mul_add(b.0, -p) + (self.0 * b.1 + self.1 * b.0);
        Dd::sum(p, low)
    }

    pub(crate) fn over(self, b: Dd) -> Self {
        let mut quotient = Dd::from(self.0 / b.0);
        for _ in 0..2 {
            let rest = self.minus(quotient.times(b));
            quotient = quotient.plus(Dd::from(rest.0 / b.0));
        }
        quotient
    }

    pub(crate) fn root(self) -> Self {
        if self.0 <= 0.0 {
            return Dd(0.0, 0.0);
        }
        let mut root = Dd::from(self.0.sqrt());
        for _ in 0..2 {
            root = root.plus(self.minus(root.times(root)).over(root.times(Dd::from(2.0))));
        }
        root
    }

    pub(crate) fn value(self) -> f64 {
        self.0 + self.1
    }

    pub(crate) fn is_negative(self) -> bool {
        self.value() < 0.0
    }
}

fn dot(a: &[Dd], b: &[Dd]) -> Dd {
    a.iter().zip(b).fold(Dd::from(0.0), |sum, (x, y)| sum.plus(x.times(*y)))
}

/// The largest singular value, right to about 1e-28 relative: rows of the small side are rotated until orthogonal
/// (Hestenes 1958). Zero matrices give zero.
pub(crate) fn largest_singular_value(w: &[f32], rows: usize, cols: usize) -> Dd {
    let (p, q) = (rows.min(cols), rows.max(cols));
    let scale = w.iter().fold(0.0, |m: f64, x| m.max(f64::from(*x).abs()));
    let entry = |i: usize, k: usize| f64::from(if rows <= cols { w[i * cols + k] } else { w[k * cols + i] });
    // A power of two, so that the reference rounds nothing either.
    let scale = if scale > 0.0 { 2f64.powi(scale.log2().floor() as i32) } else { 1.0 };
    let mut a: Vec<Vec<Dd>> = (0..p).map(|i| (0..q).map(|k| Dd::from(entry(i, k) / scale)).collect()).collect();
    for _ in 0..40 {
        let mut rotated = false;
        for i in 0..p {
            for j in i + 1..p {
                let (x, y, z) = (dot(&a[i], &a[i]), dot(&a[j], &a[j]), dot(&a[i], &a[j]));
                // Entries are scaled to 1, so that what is below 1e-34 moves the largest singular value by less than 1e-30.
                if z.value().abs() <= (1e-30 * (x.value() * y.value()).sqrt()).max(1e-34) {
                    continue;
                }
                rotated = true;
                let zeta = y.minus(x).over(z.times(Dd::from(2.0)));
                let sign = if zeta.is_negative() { -1.0 } else { 1.0 };
                let size = zeta.times(Dd::from(sign));
                let t = Dd::from(sign).over(size.plus(Dd::from(1.0).plus(zeta.times(zeta)).root()));
                let c = Dd::from(1.0).over(Dd::from(1.0).plus(t.times(t)).root());
                let s = c.times(t);
                let (head, tail) = a.split_at_mut(j);
                for (u, v) in head[i].iter_mut().zip(&mut tail[0]) {
                    (*u, *v) = (c.times(*u).minus(s.times(*v)), s.times(*u).plus(c.times(*v)));
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let squares = a.iter().map(|row| dot(row, row));
    let largest = squares.fold(Dd::from(0.0), |m, x| if x.minus(m).is_negative() { m } else { x });
    largest.root().times(Dd::from(scale))
}

/// A linear congruential generator of 64 bits (Knuth's MMIX), of which the upper bits are used.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        random.bits();
        random
    }

    /// 64 bits; the lower ones are poor.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }

    /// Uniform in [-1, 1), with the 24 bits of a float32.
    pub(crate) fn number(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
