//! Pooling over windows of images.
use serde::Deserialize;

use super::{Built, Given, Layer, Pair, Problem, checked, constant, count, one, scale, scaled, yes};
use crate::outward::{div, mul, sqrt, sqrt_of};
use crate::rounding::Rounding;
use crate::work::{Stopped, Work};

pub(super) fn build(kind: &str, of: &Given<'_>) -> Option<Built> {
    Some(match kind {
        "ScaledL2NormPool2d" => scaled_l2_norm(of),
        "ScaledAvgPool2d" => scaled_average(of),
        "AvgPool2d" => average(of),
        "MaxPool2d" => largest(of),
        "ScaledAdaptiveL2NormPool2d" => adaptive_l2_norm(of),
        "ScaledAdaptiveAvgPool2d" => adaptive_average(of),
        _ => return None,
    })
}

/// Along an axis of an image, the pixels that each window reads.
type Reads = Vec<Vec<usize>>;

/// What becomes of the pixels of a window; the window's row and column, in the result, are told.
type Pool = Box<dyn Fn(&mut dyn Iterator<Item = f64>, usize, usize) -> f64 + Send + Sync>;

struct Pooling {
    pool: Pool,
    reads: [Reads; 2],
    image: [usize; 2],
    shape: Vec<usize>,
    lipschitz: f64,
    rounding: Rounding,
}

impl Pooling {
    fn built(of: &Given<'_>, reads: [Reads; 2], lipschitz: f64, rounding: Rounding, pool: Pool) -> Built {
        let [channels, rows, columns] = of.images()?;
        let shape = checked(vec![channels, reads[0].len(), reads[1].len()])?;
        Ok(Box::new(Pooling { pool, reads, image: [rows, columns], shape, lipschitz, rounding }))
    }
}

impl Layer for Pooling {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        let [rows, columns] = &self.reads;
        let mut y = Vec::with_capacity(count(&self.shape));
        for image in x.chunks_exact(self.image[0] * self.image[1]) {
            for (i, down) in rows.iter().enumerate() {
                for (j, across) in columns.iter().enumerate() {
                    let pixel = |row: usize| across.iter().map(move |column| image[row * self.image[1] + column]);
                    y.push((self.pool)(&mut down.iter().flat_map(|row| pixel(*row)), i, j));
                }
            }
        }
        y
    }

    fn operations(&self) -> f64 {
        let [rows, columns] = self.reads.each_ref().map(|reads| reads.iter().map(Vec::len).sum::<usize>() as f64);
        4.0 * self.shape[0] as f64 * rows * columns
    }

    fn lipschitz(&self, _norm: f64) -> f64 {
        self.lipschitz
    }

    fn rounding(&self, _norm: f64, _work: &Work) -> Result<Rounding, Stopped> {
        Ok(self.rounding)
    }
}

/// Windows of one size by PyTorch's rule, and what is known of them for images of every size.
struct Windows {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil: bool,
}

/// Pixels along an axis of a kernel, and that all windows along an axis read: more are not looked at.
const LARGEST_KERNEL: usize = 1 << 12;
const MOST_READINGS: usize = 1 << 16;

impl Windows {
    fn checked(self) -> Result<Self, Problem> {
        for axis in 0..2 {
            let (kernel, stride, padding, dilation) =
                (self.kernel[axis], self.stride[axis], self.padding[axis], self.dilation[axis]);
            let small = [kernel, stride, dilation].iter().all(|n| (1..=LARGEST_KERNEL).contains(n));
            if !small || 2 * padding.min(LARGEST_KERNEL) > kernel {
                return Err(format!(
                    "its windows of {kernel} pixels with stride {stride}, padding {padding} and dilation {dilation} are none"
                ));
            }
        }
        Ok(self)
    }

    fn size(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Windows share a pixel where their taps for it are a multiple of so many apart.
    fn period(&self, axis: usize) -> usize {
        self.stride[axis] / gcd(self.stride[axis], self.dilation[axis])
    }

    /// The most windows that read one pixel.
    fn overlap(&self) -> usize {
        (0..2).map(|axis| self.kernel[axis].div_ceil(self.period(axis))).product()
    }

    /// At least the squared norm of the sums over all windows: the largest sum of a row of S Sᵀ, over the pixels of a window how many windows
    /// read each.
    fn squared_norm(&self) -> usize {
        let readings = |axis: usize| {
            let (kernel, period) = (self.kernel[axis], self.period(axis));
            let neighbours = kernel.div_ceil(period) - 1;
            kernel + 2 * neighbours * kernel - neighbours * (neighbours + 1) * period
        };
        readings(0) * readings(1)
    }

    /// The fewest pixels along an axis that a window reads, over all sizes of image; those of the padding count with `padded`.
    fn fewest(&self, axis: usize, padded: bool) -> usize {
        let (kernel, padding) = (self.kernel[axis], self.padding[axis]);
        let beyond = if self.ceil { self.stride[axis] - 1 } else { 0 };
        if padded {
            kernel.min((1 + padding).max(kernel.saturating_sub(beyond)))
        } else {
            kernel.saturating_sub(2 * padding + beyond).max(1)
        }
    }

    /// Where along an axis of `extent` pixels windows begin, relative to the image.
    fn starts(&self, axis: usize, extent: usize) -> Result<Vec<isize>, Problem> {
        let (stride, padding) = (self.stride[axis] as isize, self.padding[axis] as isize);
        let reach = ((self.kernel[axis] - 1) * self.dilation[axis]) as isize + 1;
        let room = extent as isize + 2 * padding - reach;
        let last = if self.ceil { -(-room).div_euclid(stride) } else { room.div_euclid(stride) };
        // A window that would begin behind the image is none.
        let windows = if last * stride >= extent as isize + padding { last } else { last + 1 };
        if windows < 1 || windows as usize * self.kernel[axis] > MOST_READINGS {
            return Err(format!("its windows do not fit {extent} pixels, or are too many to look at"));
        }
        Ok((0..windows).map(|window| window * stride - padding).collect())
    }

    /// The pixels of the image that each window along an axis reads.
    fn reads(&self, axis: usize, extent: usize) -> Result<Reads, Problem> {
        let tap = |start: isize, tap: usize| start + (tap * self.dilation[axis]) as isize;
        let inside = |at: isize| (0..extent as isize).contains(&at).then_some(at as usize);
        let window = |start: isize| (0..self.kernel[axis]).filter_map(|t| inside(tap(start, t))).collect();
        Ok(self.starts(axis, extent)?.into_iter().map(window).collect())
    }

    fn both(&self, images: [usize; 3]) -> Result<[Reads; 2], Problem> {
        Ok([self.reads(0, images[1])?, self.reads(1, images[2])?])
    }

    /// What sums over windows along an axis are divided by.
    fn counts(&self, axis: usize, extent: usize, padded: bool) -> Result<Vec<f64>, Problem> {
        let border = if padded { self.padding[axis] as isize } else { 0 };
        let (kernel, extent_) = (self.kernel[axis] as isize, extent as isize);
        let count = |start: isize| ((start + kernel).min(extent_ + border) - start.max(-border)) as f64;
        Ok(self.starts(axis, extent)?.into_iter().map(count).collect())
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn none() -> Pair {
    Pair::Same(0)
}

/// `kCoefLip`, and what roundings of a scale may add, of which there are none for a norm of 1.
fn bound_of_normalized(k: f64, squared_norm: Option<usize>) -> f64 {
    if squared_norm == Some(1) { k } else { mul(k, 1.0 + 4.0 * f64::EPSILON) }
}

/// The norm of numbers, in units of a power of two by which no square leaves the range.
fn norm_of(values: &mut dyn Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let largest = values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let unit = f64::from_bits(largest.to_bits() & 0x7ff0_0000_0000_0000).max(f64::MIN_POSITIVE);
    values.iter().map(|x| (x / unit) * (x / unit)).sum::<f64>().sqrt() * unit
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct L2NormOptions {
    kernel_size: Pair,
    stride: Option<Pair>,
    #[serde(default = "none")]
    padding: Pair,
    #[serde(default)]
    ceil_mode: bool,
    #[serde(default = "one")]
    k_coef_lip: f64,
}

fn windows(kernel: Pair, stride: Option<Pair>, padding: Pair, ceil: bool, dilation: Pair) -> Result<Windows, Problem> {
    let (kernel, dilation) = (kernel.get(), dilation.get());
    Windows { kernel, stride: stride.map_or(kernel, Pair::get), padding: padding.get(), dilation, ceil }.checked()
}

fn scaled_l2_norm(of: &Given<'_>) -> Built {
    let options: L2NormOptions = of.read()?;
    let L2NormOptions { kernel_size, stride, padding, ceil_mode, k_coef_lip } = options;
    let windows = windows(kernel_size, stride, padding, ceil_mode, Pair::Same(1))?;
    let (k, overlap) = (constant(k_coef_lip)?, windows.overlap());
    let rounding = Rounding { roundings: 2 * windows.size() + 4, peak: 1.0, ..Rounding::default() };
    let scale = scale(k / (overlap as f64).sqrt()).unwrap_or(1.0);
    let pool: Pool = Box::new(move |pixels, _, _| norm_of(pixels) * scale);
    Pooling::built(of, windows.both(of.images()?)?, bound_of_normalized(k, Some(overlap)), rounding, pool)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScaledAverageOptions {
    kernel_size: Pair,
    stride: Option<Pair>,
    #[serde(default = "none")]
    padding: Pair,
    #[serde(default)]
    ceil_mode: bool,
    /// The scale takes back what these would do.
    #[serde(default = "yes", rename = "countIncludePad")]
    _count_include_pad: bool,
    #[serde(default, rename = "divisorOverride")]
    _divisor_override: Option<usize>,
    #[serde(default = "one")]
    k_coef_lip: f64,
}

fn scaled_average(of: &Given<'_>) -> Built {
    let options: ScaledAverageOptions = of.read()?;
    let ScaledAverageOptions { kernel_size, stride, padding, ceil_mode, k_coef_lip, .. } = options;
    let windows = windows(kernel_size, stride, padding, ceil_mode, Pair::Same(1))?;
    let (k, squared_norm, size) = (constant(k_coef_lip)?, windows.squared_norm(), windows.size());
    let rounding = Rounding { roundings: size, peak: sqrt_of(size).ceil(), ..Rounding::default() };
    let scale = scale(k / (squared_norm as f64).sqrt()).unwrap_or(1.0);
    let pool: Pool = Box::new(move |pixels, _, _| pixels.sum::<f64>() * scale);
    Pooling::built(of, windows.both(of.images()?)?, bound_of_normalized(k, Some(squared_norm)), rounding, pool)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AverageOptions {
    kernel_size: Pair,
    stride: Option<Pair>,
    #[serde(default = "none")]
    padding: Pair,
    #[serde(default)]
    ceil_mode: bool,
    #[serde(default = "yes")]
    count_include_pad: bool,
    divisor_override: Option<usize>,
}

/// Where all windows have one divisor the norm of the sums over it, else along each axis sqrt(overlap / m), m being the fewest pixels that count.
fn average(of: &Given<'_>) -> Built {
    let options: AverageOptions = of.read()?;
    let AverageOptions { kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override } = options;
    if divisor_override == Some(0) {
        return Err("its divisor is 0".to_string());
    }
    let windows = windows(kernel_size, stride, padding, ceil_mode, Pair::Same(1))?;
    let whole = (0..2).all(|axis| windows.fewest(axis, count_include_pad) == windows.kernel[axis]);
    let divisor = divisor_override.or(whole.then_some(windows.size()));
    let lipschitz = match divisor {
        Some(divisor) => div(sqrt_of(windows.squared_norm()), divisor as f64),
        None => {
            let fewest = windows.fewest(0, count_include_pad) * windows.fewest(1, count_include_pad);
            sqrt(div(windows.overlap() as f64, fewest as f64))
        }
    };
    let images = of.images()?;
    let counts = |axis: usize| windows.counts(axis, images[1 + axis], count_include_pad);
    let (rows, columns) = (counts(0)?, counts(1)?);
    let rounding = Rounding { roundings: windows.size(), peak: sqrt_of(windows.size()).ceil(), ..Rounding::default() };
    let pool: Pool = Box::new(move |pixels, i, j| {
        pixels.sum::<f64>() / divisor.map_or_else(|| rows[i] * columns[j], |divisor| divisor as f64)
    });
    Pooling::built(of, windows.both(images)?, lipschitz, rounding, pool)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LargestOptions {
    kernel_size: Pair,
    stride: Option<Pair>,
    #[serde(default = "none")]
    padding: Pair,
    #[serde(default)]
    ceil_mode: bool,
    #[serde(default = "single")]
    dilation: Pair,
}

fn single() -> Pair {
    Pair::Same(1)
}

/// Padding repeats pixels that a window reads anyway.
fn largest(of: &Given<'_>) -> Built {
    let LargestOptions { kernel_size, stride, padding, ceil_mode, dilation } = of.read()?;
    let windows = windows(kernel_size, stride, padding, ceil_mode, dilation)?;
    let reads = windows.both(of.images()?)?;
    if reads.iter().flatten().any(Vec::is_empty) {
        return Err("a window of it reads no pixel".to_string());
    }
    let rounding = Rounding { copies: windows.size(), ..Rounding::default() };
    let pool: Pool = Box::new(|pixels, _, _| pixels.fold(f64::NEG_INFINITY, f64::max));
    Pooling::built(of, reads, sqrt_of(windows.overlap()), rounding, pool)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AdaptiveOptions {
    output_size: Pair,
    #[serde(default = "one")]
    k_coef_lip: f64,
}

/// Window i of `count` over `extent` pixels: from floor(i extent / count) up to before ceil((i + 1) extent / count).
fn stretches(extent: usize, windows: usize) -> Result<Reads, Problem> {
    if windows == 0 || windows > LARGEST_KERNEL || extent > MOST_READINGS {
        return Err(format!("it makes {windows} pixels of {extent} along an axis"));
    }
    Ok((0..windows).map(|i| (i * extent / windows..((i + 1) * extent).div_ceil(windows)).collect()).collect())
}

/// The largest sum over the windows that read a pixel, of what each of them counts for.
fn most_readings(windows: &Reads, weight: impl Fn(usize) -> f64) -> f64 {
    let end = windows.iter().flatten().max().map_or(0, |last| last + 1);
    let mut readings = vec![0.0; end];
    for window in windows {
        window.iter().for_each(|pixel| readings[*pixel] += weight(window.len()));
    }
    readings.into_iter().fold(0.0, f64::max)
}

fn longest(windows: &Reads) -> usize {
    windows.iter().map(Vec::len).max().unwrap_or(0)
}

fn adaptive(of: &Given<'_>) -> Result<([Reads; 2], f64), Problem> {
    let AdaptiveOptions { output_size, k_coef_lip } = of.read()?;
    let ([_, rows, columns], [down, across]) = (of.images()?, output_size.get());
    Ok(([stretches(rows, down)?, stretches(columns, across)?], constant(k_coef_lip)?))
}

fn adaptive_l2_norm(of: &Given<'_>) -> Built {
    let (reads, k) = adaptive(of)?;
    let overlap: f64 = reads.iter().map(|windows| most_readings(windows, |_| 1.0)).product();
    let scale = scale(k / overlap.sqrt());
    let sides = longest(&reads[0]) + longest(&reads[1]);
    let rounding = Rounding { roundings: 2 * sides + 8, peak: 1.0, ..Rounding::default() };
    let pool: Pool = Box::new(move |pixels, _, _| norm_of(pixels) * scale.unwrap_or(1.0));
    Pooling::built(of, reads, bound_of_normalized(k, None), rounding, pool)
}

/// Sums times what is left of an average: see `ScaledAdaptiveAvgPool2d`, of which scales are the same float32 numbers here.
fn adaptive_average(of: &Given<'_>) -> Built {
    let (reads, k) = adaptive(of)?;
    let share = |windows: &Reads| {
        let added = most_readings(windows, |_| 1.0) - 1.0;
        most_readings(windows, |length| 1.0 / length as f64) * (1.0 + added * f64::EPSILON)
    };
    let whole = k / (share(&reads[0]) * share(&reads[1])).sqrt();
    let lengths = reads.each_ref().map(|windows| windows.iter().map(Vec::len).collect::<Vec<_>>());
    let (rows, columns) = (longest(&reads[0]), longest(&reads[1]));
    let rounding =
        Rounding { roundings: rows + columns - 1, peak: sqrt_of(rows * columns).ceil(), ..Rounding::default() };
    let pool: Pool = Box::new(move |pixels, i, j| {
        let each = scaled(vec![1.0], whole / (lengths[0][i] * lengths[1][j]) as f64);
        pixels.sum::<f64>() * each[0]
    });
    Pooling::built(of, reads, bound_of_normalized(k, None), rounding, pool)
}
