//! The one error type of the engine: a code, a sentence, and where it applies the op and all shapes.
use std::fmt;

/// What kind of mistake an error reports; crosses to JavaScript as `TslipError.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Code {
    ShapeMismatch,
    DtypeMismatch,
    InvalidArgument,
    NonFinite,
    LabelOutOfRange,
    Cancelled,
    InvalidFile,
    Io,
    OutOfMemory,
    Unsupported,
    UnknownDevice,
    DeviceLost,
    Internal,
}

impl Code {
    /// The name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::ShapeMismatch => "SHAPE_MISMATCH",
            Code::DtypeMismatch => "DTYPE_MISMATCH",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::NonFinite => "NON_FINITE",
            Code::LabelOutOfRange => "LABEL_OUT_OF_RANGE",
            Code::Cancelled => "CANCELLED",
            Code::InvalidFile => "INVALID_FILE",
            Code::Io => "IO",
            Code::OutOfMemory => "OUT_OF_MEMORY",
            Code::Unsupported => "UNSUPPORTED",
            Code::UnknownDevice => "UNKNOWN_DEVICE",
            Code::DeviceLost => "DEVICE_LOST",
            Code::Internal => "INTERNAL",
        }
    }
}

/// An error with its code; the message says what was given, what was expected and what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The kind of mistake.
    pub code: Code,
    /// One or two sentences for a person.
    pub message: String,
    /// The op that refused its operands, if it was one.
    pub op: Option<String>,
    /// The shapes of all operands of that op.
    pub shapes: Vec<Vec<usize>>,
}

impl Error {
    /// An error that belongs to no op.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), op: None, shapes: Vec::new() }
    }

    /// A shape error; the graph adds the op and the shapes.
    pub fn shape(message: impl Into<String>) -> Self {
        Error::new(Code::ShapeMismatch, message)
    }

    /// A dtype error; the graph adds the op and the shapes.
    pub fn dtype(message: impl Into<String>) -> Self {
        Error::new(Code::DtypeMismatch, message)
    }

    /// An attribute or argument out of range.
    pub fn argument(message: impl Into<String>) -> Self {
        Error::new(Code::InvalidArgument, message)
    }

    /// A mistake of tslip itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(Code::Internal, message)
    }

    /// Names the op and the shapes it was given.
    pub fn of_op(mut self, op: &str, shapes: Vec<Vec<usize>>) -> Self {
        self.op.get_or_insert_with(|| op.to_string());
        if self.shapes.is_empty() {
            self.shapes = shapes;
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.op {
            Some(op) => write!(f, "{op}: {} (shapes given: {:?})", self.message, self.shapes),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

/// Shorthand for results of the engine.
pub type Result<T> = std::result::Result<T, Error>;
