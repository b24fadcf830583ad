use super::*;
use crate::norm::dense;

const GO_ON: &dyn Fn(f64) -> bool = &|_| true;

/// Numbers in [-1, 1) that follow from a seed.
struct Random(u64);

impl Random {
    fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// Convolutions of all modes, with strides, dilations, groups and paddings that differ.
fn some(count: usize) -> Vec<Convolution> {
    let mut random = Random(7);
    let mut found = Vec::new();
    while found.len() < count {
        let mode = [Mode::Zeros, Mode::Circular, Mode::Reflect, Mode::Replicate, Mode::Symmetric][found.len() % 5];
        let mut axis = || {
            let [taps, stride, dilation] = [1 + random.below(4), 1 + random.below(3), 1 + random.below(3)];
            let [before, after, size] = [random.below(3), random.below(3), 1 + random.below(7)];
            Axis { taps, stride, dilation, before, after, mode, size }.checked()
        };
        let (Ok(rows), Ok(columns)) = (axis(), axis()) else { continue };
        let groups = 1 + random.below(2);
        let [outputs, inputs] = [groups * (1 + random.below(3)), groups * (1 + random.below(3))];
        let weight = (0..outputs * inputs / groups * rows.taps * columns.taps).map(|_| random.number()).collect();
        found.push(Convolution { weight, outputs, inputs, groups, axes: [rows, columns] });
    }
    found
}

/// The convolution as a matrix `[results, numbers]`, by what it makes of each number.
fn matrix(convolution: &Convolution) -> (Vec<f32>, usize, usize) {
    let numbers = convolution.inputs * convolution.axes[0].size * convolution.axes[1].size;
    let results = convolution.outputs * convolution.windows();
    let mut matrix = vec![0.0; results * numbers];
    for at in 0..numbers {
        let (mut x, mut y) = (vec![0.0; numbers], vec![0.0; results]);
        x[at] = 1.0;
        convolution.add(&x, &mut y);
        // Where padding shows a number twice, float32 rounds the sum of two weights.
        y.iter().enumerate().for_each(|(row, y)| matrix[row * numbers + at] = *y as f32);
    }
    (matrix, results, numbers)
}

#[test]
fn every_proof_gives_no_less_than_the_norm_and_those_of_the_operator_little_more() {
    let work = Work::new(GO_ON);
    let mut exact = 0;
    for (i, convolution) in some(200).iter().enumerate() {
        let (matrix, rows, columns) = matrix(convolution);
        let norm = dense(&matrix, rows, columns, &work).unwrap().upper(&work).unwrap();
        for method in [Method::Kernel, Method::Operator, Method::Torus, Method::Correlations] {
            let proof = convolution.norm(method, &work).unwrap().unwrap();
            let bound = proof.upper(&work).unwrap();
            assert!(bound >= norm * (1.0 - 1e-6), "{i} {method}: {bound} {norm} of {:?}", convolution.axes);
            assert!(proof.is_below(bound * (1.0 + 1e-12), &work).unwrap(), "{i} {method}");
            assert!(norm == 0.0 || !proof.is_below(norm * (1.0 - 1e-6), &work).unwrap(), "{i} {method}");
            let tight = method == Method::Operator || method == Method::Torus && Torus::is_exact(&convolution.axes);
            assert!(!tight || bound <= norm * (1.0 + 1e-6), "{i} {method}: {bound} {norm} of {:?}", convolution.axes);
            exact += usize::from(tight && method == Method::Torus);
        }
    }
    assert!(exact > 5, "{exact} are exact on a torus");
}

#[test]
fn the_adjoint_is_the_transpose_and_the_kernel_turned_round_bounds_it() {
    let work = Work::new(GO_ON);
    for convolution in some(60) {
        let (matrix, results, numbers) = matrix(&convolution);
        let mut random = Random(9);
        let y: Vec<f64> = (0..results).map(|_| f64::from(random.number())).collect();
        let mut x = vec![0.0; numbers];
        convolution.add_adjoint(&y, &mut x);
        for (at, x) in x.iter().enumerate() {
            let sum: f64 = (0..results).map(|row| f64::from(matrix[row * numbers + at]) * y[row]).sum();
            assert!((sum - x).abs() < 1e-5, "{at}: {x}, not {sum}");
        }
        let keeps = convolution.axes.iter().all(|axis| axis.stride == 1 && axis.windows() == axis.size);
        if keeps && convolution.copies() == 1 {
            let norm = dense(&matrix, results, numbers, &work).unwrap().upper(&work).unwrap();
            let bound = convolution.adjoint_kernel_norm(&work).unwrap().upper(&work).unwrap();
            assert!(bound >= norm * (1.0 - 1e-6), "{bound} {norm}");
        }
    }
}

#[test]
fn the_cheapest_tight_proof_comes_last() {
    let axis = |size, mode, before| Axis { taps: 3, stride: 1, dilation: 1, before, after: before, mode, size };
    let of = |size, channels, mode, before| {
        let weight = vec![0.1; channels * channels * 9];
        let axes = [axis(size, mode, before); 2];
        Convolution { weight, outputs: channels, inputs: channels, groups: 1, axes }.methods()
    };
    assert_eq!(of(14, 16, Mode::Zeros, 1), [Method::Kernel, Method::Operator]);
    assert_eq!(of(14, 16, Mode::Circular, 1), [Method::Kernel, Method::Torus]);
    assert_eq!(of(32, 32, Mode::Zeros, 1), [Method::Kernel, Method::Torus]);
    assert_eq!(of(112, 512, Mode::Zeros, 1), [Method::Kernel, Method::Correlations]);
    assert_eq!(of(3, 16, Mode::Zeros, 0), [Method::Kernel]);
}
