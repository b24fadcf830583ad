//! Errors of the bounds: a code that crosses to JavaScript and a sentence that says what to change.
use std::fmt;

/// What kind of mistake an error reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// A length does not fit the sizes given with it.
    ShapeMismatch,
    /// An option is out of range.
    InvalidArgument,
    /// NaN or infinity where a bound needs finite numbers.
    NonFinite,
}

impl Code {
    /// The name that JavaScript sees as `TslipError.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::ShapeMismatch => "SHAPE_MISMATCH",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::NonFinite => "NON_FINITE",
        }
    }
}

/// An error with its code; the message says what was given, what was expected and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The kind of mistake.
    pub code: Code,
    /// One or two sentences for a person.
    pub message: String,
}

impl Error {
    pub(crate) fn shape(message: impl Into<String>) -> Self {
        Error { code: Code::ShapeMismatch, message: message.into() }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Error { code: Code::InvalidArgument, message: message.into() }
    }

    pub(crate) fn non_finite(message: impl Into<String>) -> Self {
        Error { code: Code::NonFinite, message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;
