//! What an op is on a GPU, as plain data: WGSL text and what it is called with. Knows no device.
//!
//! All tensors lie in one array of 32-bit words, one word an element of any type; an operand is known to a kernel by the
//! index of its first word. `crates/lower` fuses elementwise functions and views, puts launches in order and gives everything
//! its place.
use crate::spec::DType;

/// What an op is on a GPU.
#[derive(Clone, Debug)]
pub enum Form {
    /// Each element of the result from the elements at its place in the operands, broadcast as in NumPy.
    Elementwise(Elementwise),
    /// The operand's elements under other indices; nothing is computed.
    View(Rearrange),
    /// Kernels, run one after another; a launch sees what those before it wrote.
    Kernels(Vec<Launch>),
    /// A value without operands that is made on the CPU and uploaded once.
    Host,
}

impl Form {
    /// An elementwise function that is an expression alone.
    pub fn elementwise(expression: impl Into<String>) -> Form {
        Elementwise::of(expression).form()
    }
}

/// A function of single elements.
#[derive(Clone, Debug, Default)]
pub struct Elementwise {
    /// A WGSL expression of the result's type. `$0`, `$1` … are the operands' elements, `$w0`, `$w1` … the words, `$i` is the
    /// row-major index of the element (u32). Elements are f32, i32, u32 (for u8) or bool.
    pub expression: String,
    /// WGSL functions that the expression calls; each text is included once.
    pub functions: Vec<&'static str>,
    /// The shape under which operand 0 is broadcast, if that is not its own; as many elements.
    pub seen: Option<Vec<usize>>,
    /// Numbers that vary between ops of one expression (u32; floats as their bits): they do not make another pipeline.
    pub words: Vec<u32>,
}

/// How the elements of a view are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rearrange {
    /// Axis i of the view is axis `axes[i]` of the operand.
    Permute(Vec<usize>),
    /// Extents of 1, and missing leading axes, are repeated.
    Broadcast,
    /// Element i of an axis of the view is element `start + i * step` of the operand's.
    Slice {
        /// First element of each axis.
        start: Vec<usize>,
        /// Distance of one element to the next along each axis.
        step: Vec<usize>,
    },
    /// The same elements in row-major order.
    Reshape,
    /// The first elements in row-major order.
    Start,
}

/// A kernel and what it is run on.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The kernel.
    pub kernel: Kernel,
    /// The words it reads with `word(grid, k)`.
    pub arguments: Vec<Argument>,
    /// How many workgroups. A kernel must not ask for the shape of the dispatch: several launches of one kernel may share a
    /// dispatch.
    pub groups: usize,
}

/// A kernel: WGSL with a function `run(grid: Grid, local: u32)`, called by all invocations of each workgroup. It may use what
/// `crates/lower/src/prelude.wgsl` defines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// What it is called in `explain()` and in error messages.
    pub name: &'static str,
    /// Texts that are put one after another.
    pub sources: Vec<&'static str>,
    /// Values of the constants that the texts leave open (u32), by name. Each combination is a pipeline: no shapes.
    pub constants: Vec<(&'static str, u32)>,
    /// Invocations of a workgroup, at most 256.
    pub workgroup: u32,
}

/// Invocations of a workgroup where a kernel does not say otherwise.
pub const WORKGROUP: u32 = 256;

impl Kernel {
    /// A kernel of one text without constants, in workgroups of [`WORKGROUP`].
    pub fn new(name: &'static str, source: &'static str) -> Self {
        Kernel { name, sources: vec![source], constants: Vec::new(), workgroup: WORKGROUP }
    }

    /// With another text before its own: functions that several kernels share.
    pub fn with(mut self, source: &'static str) -> Self {
        self.sources.insert(self.sources.len() - 1, source);
        self
    }

    /// With the value of a constant.
    pub fn constant(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, value));
        self
    }

    /// In workgroups of another size.
    pub fn workgroup(mut self, invocations: u32) -> Self {
        self.workgroup = invocations;
        self
    }

    /// This kernel on `groups` workgroups.
    pub fn launch(self, groups: usize, arguments: Vec<Argument>) -> Launch {
        Launch { kernel: self, arguments, groups }
    }

    /// This kernel with an invocation for each of `count` elements.
    pub fn over(self, count: usize, arguments: Vec<Argument>) -> Launch {
        let groups = count.div_ceil(self.workgroup as usize);
        self.launch(groups, arguments)
    }
}

/// A word of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Index of an operand's first word; its elements lie row-major without gaps.
    Input(usize),
    /// Index of the result's first word.
    Output,
    /// Index of a word of memory that all launches of the op share and nothing else uses; it holds anything at first. The op
    /// gets as much as its arguments' `at + words` reach.
    Scratch {
        /// Words before it.
        at: usize,
        /// Words from there on that are used.
        words: usize,
    },
    /// A number.
    Word(u32),
}

impl Argument {
    /// An extent, or another number that fits 32 bits: the planner refuses larger tensors.
    pub fn size(value: usize) -> Argument {
        Argument::Word(value as u32)
    }

    /// A float, by its bits.
    pub fn float(value: f32) -> Argument {
        Argument::Word(value.to_bits())
    }
}

impl Elementwise {
    /// An expression that is to be completed.
    pub fn of(expression: impl Into<String>) -> Elementwise {
        Elementwise { expression: expression.into(), ..Elementwise::default() }
    }

    /// With WGSL functions that it calls.
    pub fn calls(mut self, functions: &'static str) -> Elementwise {
        self.functions.push(functions);
        self
    }

    /// With a number, the next of `$w0`, `$w1` ….
    pub fn word(mut self, word: u32) -> Elementwise {
        self.words.push(word);
        self
    }

    /// As the form of an op.
    pub fn form(self) -> Form {
        Form::Elementwise(self)
    }
}

/// Quotients and square roots in WGSL, for every kernel that has some: the nearest floats, whatever those of a device are. The self-test
/// of a device measures this text.
pub const EXACT: &str = include_str!("gpu/exact.wgsl");

/// The exponential function and its kin in WGSL; needs [`EXACT`]. The self-test of a device measures this text.
pub const MATH: &str = include_str!("gpu/math.wgsl");

/// The WGSL type of an element.
pub fn element(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "f32",
        DType::I32 => "i32",
        DType::U8 => "u32",
        DType::Bool => "bool",
    }
}
