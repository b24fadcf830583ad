//! Overlap, the convolution factor and the bound of a convolution, against convolutions written out as matrices.
use super::*;
use crate::axis::source;
use crate::error::Code;
use crate::norm::spectral_norm_upper;

/// A few roundings of float64.
const ROUNDING: f64 = 1e-14;

pub(crate) fn options(
    kernel: &[usize],
    stride: &[usize],
    dilation: &[usize],
    pad: &[usize],
    mode: PaddingMode,
) -> ConvolutionOptions {
    ConvolutionOptions {
        kernel_size: kernel.to_vec(),
        stride: stride.to_vec(),
        padding: pad.iter().chain(pad).copied().collect(),
        dilation: dilation.to_vec(),
        padding_mode: mode,
        ..Default::default()
    }
}

pub(crate) fn on(size: &[usize], o: ConvolutionOptions) -> ConvolutionOptions {
    ConvolutionOptions { input_size: Some(size.to_vec()), ..o }
}

#[test]
fn overlap_counts_what_is_read_on_the_image_given() {
    use PaddingMode::*;
    let cases = [
        (options(&[3], &[1], &[1], &[1], Zeros), vec![7], 3),
        (options(&[5], &[2], &[1], &[0], Zeros), vec![9], 3),
        (options(&[3], &[1], &[2], &[2], Circular), vec![8], 3),
        (options(&[3, 5], &[1, 1], &[1, 1], &[1, 2], Zeros), vec![6, 7], 15),
        (options(&[3, 3], &[2, 1], &[1, 1], &[1, 1], Zeros), vec![7, 5], 6),
        (options(&[2, 2], &[2, 2], &[1, 1], &[1, 1], Circular), vec![5, 5], 4),
        (options(&[5, 5], &[1, 1], &[1, 1], &[2, 2], Symmetric), vec![6, 6], 25),
        (options(&[3, 3], &[1, 1], &[1, 1], &[1, 1], Reflect), vec![5, 6], 16),
        (options(&[5, 5], &[1, 1], &[1, 1], &[2, 2], Replicate), vec![6, 6], 36),
        (options(&[3, 3], &[2, 2], &[2, 2], &[2, 2], Zeros), vec![7, 7], 9),
        (options(&[5, 5], &[1, 1], &[1, 1], &[2, 2], Zeros), vec![2, 2], 4),
    ];
    for (o, size, want) in cases {
        assert_eq!(convolution_overlap(&on(&size, o.clone())), Ok(want), "{o:?} on {size:?}");
    }
}

#[test]
fn without_a_size_overlap_is_the_largest_over_all_sizes() {
    for mode in [
        PaddingMode::Zeros,
        PaddingMode::Circular,
        PaddingMode::Reflect,
        PaddingMode::Replicate,
        PaddingMode::Symmetric,
    ] {
        for (kernel, stride, dilation, pad) in
            [(3, 1, 1, 1), (5, 2, 1, 2), (3, 2, 2, 3), (4, 3, 1, 0), (7, 1, 1, 3), (2, 5, 3, 4), (3, 4, 6, 5)]
        {
            let o = options(&[kernel], &[stride], &[dilation], &[pad], mode);
            let sup = convolution_overlap(&o).unwrap();
            let exact = (1..120).filter_map(|n| convolution_overlap(&on(&[n], o.clone())).ok()).max();
            assert_eq!(Some(sup), exact, "{o:?}");
        }
    }
}

#[test]
fn what_cannot_be_counted_has_the_bound_for_every_size_or_none() {
    let o = options(&[2], &[1], &[3000], &[0], PaddingMode::Zeros);
    assert_eq!(convolution_overlap(&on(&[4000], o.clone())), convolution_overlap(&o));
    let o = options(&[3], &[1], &[1], &[3000], PaddingMode::Zeros);
    assert_eq!(convolution_overlap(&on(&[10], o)), Ok(3));
    let o = options(&[3], &[1], &[1], &[3000], PaddingMode::Circular);
    assert_eq!(convolution_overlap(&on(&[3000], o)).unwrap_err().code, Code::InvalidArgument);
}

/// What a padded axis shows, position by position: the image read on and on, to and fro, or its border.
fn shown(axis: &Axis, size: usize) -> Vec<Option<usize>> {
    let to_and_fro = |repeated: usize| (0..size).chain((repeated..size - repeated).rev()).collect::<Vec<_>>();
    let period = match axis.mode {
        PaddingMode::Zeros | PaddingMode::Replicate => Vec::new(),
        PaddingMode::Circular => (0..size).collect(),
        PaddingMode::Symmetric => to_and_fro(0),
        PaddingMode::Reflect if size == 1 => vec![0],
        PaddingMode::Reflect => to_and_fro(1),
    };
    let at = |position: isize| match axis.mode {
        PaddingMode::Zeros => usize::try_from(position).ok().filter(|&p| p < size),
        PaddingMode::Replicate => Some(position.max(0) as usize).map(|p| p.min(size - 1)),
        _ => Some(period[position.rem_euclid(period.len() as isize) as usize]),
    };
    let (before, after) = axis.padding;
    (-(before as isize)..(size + after) as isize).map(at).collect()
}

/// The definition: every tap of every window, one by one.
fn count(axis: &Axis, span: usize, size: usize) -> usize {
    let (shown, mut taps) = (shown(axis, size), vec![0; size]);
    for start in (0..=shown.len() - span).step_by(axis.stride) {
        for tap in 0..axis.kernel {
            if let Some(pixel) = shown[start + tap * axis.dilation] {
                taps[pixel] += 1;
            }
        }
    }
    taps.into_iter().max().unwrap_or(0)
}

pub(crate) const MODES: [PaddingMode; 5] =
    [PaddingMode::Zeros, PaddingMode::Circular, PaddingMode::Reflect, PaddingMode::Replicate, PaddingMode::Symmetric];

/// Every axis with strides, dilations and paddings to 12 and kernels of these sizes, on as many threads as there are.
fn each_axis(kernels: &[usize], paddings: &[(usize, usize)], check: impl Fn(Axis) -> usize + Sync) -> usize {
    let check = &check;
    let of_stride = |stride: usize| {
        let mut checked = 0;
        for dilation in 1..=12 {
            for &kernel in kernels {
                for &padding in paddings {
                    for mode in MODES {
                        checked +=
                            check(Axis { kernel, stride, dilation, padding, mode, size: None, whole_strides: false });
                    }
                }
            }
        }
        checked
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=12).map(|stride| scope.spawn(move || of_stride(stride))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

#[test]
fn taps_are_counted_as_if_one_by_one_on_every_geometry_of_a_grid() {
    let paddings: Vec<(usize, usize)> =
        (0..=12).flat_map(|before| (0..=12).map(move |after| (before, after))).collect();
    let checked = each_axis(&[1, 2, 3, 5], &paddings, |axis| {
        let span = axis.dilation * (axis.kernel - 1) + 1;
        let counted = |n: &usize| {
            let Ok(got) = overlap(&Axis { size: Some(*n), ..axis }) else { return false };
            assert_eq!(got, count(&axis, span, *n), "{axis:?} on {n}");
            true
        };
        (1..=30).filter(counted).count()
    });
    // Those are left out whose image is smaller than the mode allows or holds no window.
    assert_eq!(checked, GEOMETRIES);
}

/// Geometries of the grid that have a window.
const GEOMETRIES: usize = 10_636_176;

#[test]
fn without_a_size_the_count_is_the_supremum_on_every_geometry_of_a_grid() {
    let paddings: Vec<(usize, usize)> = (0..=12).flat_map(|p| [(p, p), (p, p + 1)]).collect();
    let checked = each_axis(&[1, 2, 3, 5], &paddings, |axis| {
        let span = axis.dilation * (axis.kernel - 1) + 1;
        let allowed = |n: &usize| overlap(&Axis { size: Some(*n), ..axis }).is_ok();
        // Twice what the proof needs, and two strides more.
        let largest = 2 * (2 * span + axis.padding.0 + axis.padding.1 + 3) + 3 * axis.stride;
        let exact = (1..=largest).filter(allowed).map(|n| count(&axis, span, n)).max();
        assert_eq!(overlap(&axis).ok(), exact, "{axis:?}");
        1
    });
    assert_eq!(checked, 12 * 12 * 4 * 26 * 5);
}

#[test]
fn a_stride_beyond_the_border_is_counted_where_its_windows_stand() {
    // Windows at -1, 7, 15, 23: of the smallest image that has one, only the border is seen.
    let axis = Axis {
        kernel: 1,
        stride: 8,
        dilation: 1,
        padding: (1, 1),
        mode: PaddingMode::Zeros,
        size: Some(28),
        whole_strides: false,
    };
    assert_eq!(overlap(&axis), Ok(1));
    assert_eq!(overlap(&Axis { size: Some(1), ..axis }), Ok(0));
}

#[test]
fn the_largest_kernels_are_counted_over_all_sizes_within_a_second() {
    let o = options(&[2001, 2001], &[1, 1], &[1, 1], &[1000, 1000], PaddingMode::Reflect);
    let start = std::time::Instant::now();
    let overlap = convolution_overlap(&o).unwrap();
    assert!(start.elapsed().as_secs_f64() < 1.0, "{:?}", start.elapsed());
    // A mirrored pixel is met by no more than its own windows and those of its two images.
    assert!((2001 * 2001..=9 * 2001 * 2001).contains(&overlap), "{overlap}");
}

#[test]
fn large_images_are_counted_as_their_small_equivalents() {
    for mode in [PaddingMode::Zeros, PaddingMode::Circular, PaddingMode::Reflect, PaddingMode::Replicate] {
        let axis = Axis { kernel: 5, stride: 3, dilation: 2, padding: (4, 3), mode, size: None, whole_strides: false };
        for n in 20..160 {
            assert_eq!(overlap(&Axis { size: Some(n), ..axis }).unwrap(), count(&axis, 9, n), "{mode:?} {n}");
        }
    }
}

#[test]
fn the_factor_is_torchlips_where_that_is_sound() {
    use PaddingMode::*;
    let cases = [
        (options(&[3, 3], &[1, 1], &[1, 1], &[1, 1], Zeros), 1.0 / 3.0),
        (options(&[3, 5], &[1, 1], &[1, 1], &[1, 2], Zeros), 0.2581988897471611),
        (options(&[2, 4], &[1, 1], &[1, 1], &[0, 0], Zeros), 0.35355339059327373),
        (options(&[3, 3], &[2, 1], &[1, 1], &[1, 1], Zeros), 0.408248290463863),
        (options(&[3], &[1], &[1], &[1], Zeros), 1.0 / 3.0),
        (options(&[5], &[2], &[1], &[0], Zeros), 1.0 / 3.0),
    ];
    for (o, want) in cases {
        let got = convolution_factor(&o).unwrap();
        assert!((got - want).abs() <= ROUNDING * want, "{o:?}: {got}, not {want}");
    }
}

#[test]
fn the_factor_is_smaller_than_torchlips_where_that_is_not_sound() {
    use PaddingMode::*;
    let cases = [
        (on(&[5, 6], options(&[3, 3], &[1, 1], &[1, 1], &[1, 1], Reflect)), 0.25),
        (on(&[6, 6], options(&[5, 5], &[1, 1], &[1, 1], &[2, 2], Replicate)), 1.0 / 6.0),
        (on(&[5, 5], options(&[2, 2], &[2, 2], &[1, 1], &[1, 1], Circular)), 0.5),
        (options(&[3, 3], &[2, 2], &[2, 2], &[2, 2], Zeros), 1.0 / 3.0),
    ];
    for (o, want) in cases {
        let got = convolution_factor(&o).unwrap();
        assert!((got - want).abs() <= ROUNDING * want, "{o:?}: {got}, not {want}");
    }
}

#[test]
fn the_factor_is_finite_where_windows_show_no_pixel() {
    let o = on(&[1, 2], options(&[1, 2], &[1, 1], &[1, 3], &[0, 1], PaddingMode::Zeros));
    assert_eq!(convolution_overlap(&o), Ok(0));
    for (norm, want) in [(FactorNorm::Default, 0.5_f64.sqrt()), (FactorNorm::Overlap, 1.0)] {
        let got = convolution_factor(&ConvolutionOptions { norm, ..o.clone() }).unwrap();
        assert!((got - want).abs() <= ROUNDING, "{norm:?}: {got}, not {want}");
    }
}

/// The convolution of one image as a matrix `[out * oh * ow, in * h * w]`, tap by tap.
pub(crate) fn dense(
    weight: &[f32],
    shape: [usize; 4],
    o: &ConvolutionOptions,
    size: [usize; 2],
) -> (Vec<f32>, usize, usize) {
    let [out, inner, kh, kw] = shape;
    let outputs = [0, 1].map(|a| {
        (size[a] + o.padding[a] + o.padding[a + 2] - o.dilation[a] * (shape[a + 2] - 1) - 1) / o.stride[a] + 1
    });
    let (group_out, channels) = (out / o.groups, inner * o.groups);
    let (rows, cols) = (out * outputs[0] * outputs[1], channels * size[0] * size[1]);
    let mut matrix = vec![0.0; rows * cols];
    for (row, line) in matrix.chunks_exact_mut(cols).enumerate() {
        let (co, y, x) = (row / (outputs[0] * outputs[1]), row / outputs[1] % outputs[0], row % outputs[1]);
        for (tap, &w) in weight[co * inner * kh * kw..][..inner * kh * kw].iter().enumerate() {
            let (ci, i, j) = (co / group_out * inner + tap / (kh * kw), tap / kw % kh, tap % kw);
            let at = |axis: usize, window: usize, tap: usize| {
                let position = (window * o.stride[axis] + tap * o.dilation[axis]) as isize - o.padding[axis] as isize;
                source(position, size[axis] as isize, o.padding_mode)
            };
            if let (Some(r), Some(c)) = (at(0, y, i), at(1, x, j)) {
                line[(ci * size[0] + r as usize) * size[1] + c as usize] += w;
            }
        }
    }
    (matrix, rows, cols)
}

#[test]
fn the_bound_is_above_the_norm_of_the_convolution_written_out() {
    use PaddingMode::*;
    let mut seed = 7u32;
    let mut number = || {
        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
        // Of few bits, so that copies are added up exactly.
        (seed >> 20) as f32 / (1 << 11) as f32 - 1.0
    };
    for (mode, stride, dilation, pad, groups) in [
        (Zeros, 1, 1, 1, 1),
        (Zeros, 2, 1, 1, 2),
        (Reflect, 1, 1, 2, 1),
        (Replicate, 2, 2, 2, 1),
        (Circular, 2, 1, 1, 2),
        (Symmetric, 3, 1, 2, 1),
    ] {
        for ones in [true, false] {
            let o = ConvolutionOptions { groups, ..options(&[3, 3], &[stride; 2], &[dilation; 2], &[pad; 2], mode) };
            let shape = [4, 2, 3, 3];
            let weight: Vec<f32> = (0..72).map(|_| if ones { 1.0 } else { number() }).collect();
            let bound = conv2d_lipschitz_upper(&weight, &shape, &o).unwrap();
            for size in [[5, 6], [7, 5]] {
                let (matrix, rows, cols) = dense(&weight, shape, &o, size);
                let exact = spectral_norm_upper(&matrix, rows, cols).unwrap();
                let sized = conv2d_lipschitz_upper(&weight, &shape, &on(&size, o.clone())).unwrap();
                assert!(
                    sized <= bound && exact <= sized * (1.0 + 1e-9),
                    "{o:?} on {size:?}: {exact}, bounds {sized} {bound}"
                );
                // A kernel of ones on an image it covers comes close: the bound is not idle.
                assert!(!ones || sized <= 2.5 * exact, "{o:?} on {size:?}: {exact}, bound {sized}");
            }
        }
    }
}

#[test]
fn one_axis_and_an_omitted_kernel_size_are_taken() {
    let o = ConvolutionOptions { padding: vec![1, 1], ..Default::default() };
    let bound = conv2d_lipschitz_upper(&[1.0, 1.0, 1.0], &[1, 1, 3], &o).unwrap();
    assert!((3.0..3.0 + 1e-9).contains(&bound), "{bound}");
}

#[test]
fn options_that_fit_nothing_are_refused() {
    let good = options(&[3, 3], &[1, 1], &[1, 1], &[1, 1], PaddingMode::Reflect);
    let code = |o: ConvolutionOptions| convolution_factor(&o).unwrap_err().code;
    assert_eq!(code(ConvolutionOptions { kernel_size: vec![], ..good.clone() }), Code::InvalidArgument);
    assert_eq!(code(ConvolutionOptions { stride: vec![0, 1], ..good.clone() }), Code::InvalidArgument);
    assert_eq!(code(ConvolutionOptions { padding: vec![1, 1], ..good.clone() }), Code::InvalidArgument);
    assert_eq!(code(ConvolutionOptions { padding: vec![usize::MAX; 4], ..good.clone() }), Code::InvalidArgument);
    assert_eq!(code(on(&[1, 5], good.clone())), Code::InvalidArgument);
    let shape = |shape: &[usize], o: &ConvolutionOptions| conv2d_lipschitz_upper(&[1.0; 9], shape, o).unwrap_err().code;
    assert_eq!(shape(&[1, 1, 3, 2], &good), Code::ShapeMismatch);
    assert_eq!(shape(&[9], &good), Code::ShapeMismatch);
    assert_eq!(shape(&[1, 1, 1, 9], &good), Code::ShapeMismatch);
    assert_eq!(shape(&[1, 1, 3, 3], &ConvolutionOptions { groups: 2, ..good.clone() }), Code::InvalidArgument);
    let nan = conv2d_lipschitz_upper(&[f32::NAN; 9], &[1, 1, 3, 3], &good).unwrap_err();
    assert_eq!(nan.code, Code::NonFinite);
}

#[test]
fn of_groups_with_different_norms_the_largest_counts_wherever_it_stands() {
    let o = ConvolutionOptions { groups: 3, ..Default::default() };
    for order in [[1.0f32, 5.0, 2.0], [5.0, 1.0, 2.0], [2.0, 1.0, 5.0]] {
        let bound = conv2d_lipschitz_upper(&order, &[3, 1, 1, 1], &o).unwrap();
        assert!((5.0..5.0 + 1e-8).contains(&bound), "{order:?}: {bound}");
    }
}
