//! The file of certificates: canonical JSON, its own hash, perhaps a signature. docs/certificate-file.md describes it.
use std::io;

use ed25519_dalek::{Signature, VerifyingKey};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::ser::Formatter;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::norm::Method;

/// The version of the format that is written and read here.
pub(crate) const VERSION: u64 = 1;
/// What a file says it is.
pub(crate) const FORMAT: &str = "tslip.certificates";
/// Bytes of a file at most.
const MOST_BYTES: usize = 1 << 28;

/// What a file holds beside its hash and signature. Fields stand in the order of their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Body {
    /// Of which evaluation of the network the claims are.
    pub arithmetic: Arithmetic,
    /// Of the inputs, in their order.
    pub certificates: Vec<Entry>,
    pub format: String,
    pub inputs: InputKind,
    /// In the order in which values pass through them.
    pub layers: Vec<LayerEntry>,
    /// A bound of the whole network.
    pub lipschitz: f64,
    pub model: ModelEntry,
    pub version: u64,
}

/// A float32 evaluation by the assumptions in docs/certificates.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arithmetic {
    /// That of IEEE 754 in which values are computed.
    pub format: String,
    /// What counts for numbers below the normal ones.
    pub subnormals: String,
    /// Which order sums have.
    pub sums: String,
}

impl Arithmetic {
    pub fn known() -> Self {
        let [format, subnormals, sums] = ["binary32", "zero", "one order for all results of a layer"].map(String::from);
        Arithmetic { format, subnormals, sums }
    }
}

/// The claim about an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The hash of its numbers as they lie in memory, little-endian.
    pub input: String,
    /// By which bound of differences of logits.
    pub kind: String,
    pub predicted: u64,
    pub radius: Radius,
}

/// Of what kind all inputs are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputKind {
    pub dtype: Dtype,
    /// Of one input.
    pub shape: Vec<u64>,
}

/// Numbers of an input: bytes count divided by 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE 754 binary32, little-endian.
    F32,
    /// Bytes.
    U8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayerEntry {
    /// Its place in the model.
    pub layer: String,
    /// A bound of its Lipschitz constant, for inputs of this shape.
    pub lipschitz: f64,
    /// How that of its linear map is proved.
    pub method: Method,
    /// A bound of the norm of its linear map, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<f64>,
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelEntry {
    pub bytes: u64,
    pub sha256: String,
}

/// A radius: a number of at least 0, or the text "Infinity".
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Radius(pub f64);

impl Serialize for Radius {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 == f64::INFINITY { to.serialize_str("Infinity") } else { to.serialize_f64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Radius {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(f64),
            Text(String),
        }
        match Given::deserialize(from)? {
            Given::Number(radius) if radius >= 0.0 => Ok(Radius(radius)),
            Given::Text(text) if text == "Infinity" => Ok(Radius(f64::INFINITY)),
            Given::Number(radius) => Err(D::Error::invalid_value(Unexpected::Float(radius), &"a radius of at least 0")),
            Given::Text(text) => Err(D::Error::invalid_value(Unexpected::Str(&text), &"a radius")),
        }
    }
}

/// Who vouches for a file: over the bytes of its canonical "certificate".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Signed {
    pub algorithm: String,
    /// 32 bytes in hexadecimal.
    pub public_key: String,
    /// 64 bytes in hexadecimal.
    pub value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer<'a> {
    #[serde(borrow)]
    certificate: &'a RawValue,
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Signed>,
}

/// A file whose hash is that of what it holds.
pub(crate) struct File {
    pub body: Body,
    /// The signature, with the bytes that it is of.
    pub signature: Option<(Signed, Vec<u8>)>,
}

/// Why a file is not read.
pub(crate) enum Unreadable {
    /// It is no such file, or not as it was written.
    Corrupt(String),
    /// Its format is another than is known here.
    Unsupported(String),
}

impl File {
    /// What is in a file. All of it is checked: its size, its hash, its form to the byte, its names, its numbers.
    pub fn read(bytes: &[u8]) -> Result<File, Unreadable> {
        let corrupt = |cause: String| Unreadable::Corrupt(cause);
        if bytes.len() > MOST_BYTES {
            return Err(corrupt(format!(
                "it has {} bytes; files of certificates have {MOST_BYTES} at most",
                bytes.len()
            )));
        }
        let outer: Outer = serde_json::from_slice(bytes)
            .map_err(|cause| corrupt(format!("it is no file of certificates: {cause}")))?;
        let text = outer.certificate.get();
        let hash = sha256(text.as_bytes());
        if hash != outer.sha256 {
            return Err(corrupt(format!("its hash is {hash}; it says {}", shortened(&outer.sha256))));
        }
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
            format: String,
        }
        let versioned = serde_json::from_str(text).map_err(|cause| corrupt(format!("it has no version: {cause}")));
        let Versioned { version, format } = versioned?;
        if format != FORMAT {
            return Err(corrupt(format!("its format is \"{}\", not \"{FORMAT}\"", shortened(&format))));
        }
        if version != VERSION {
            return Err(Unreadable::Unsupported(format!(
                "its format has version {version}; this verifier knows version {VERSION}"
            )));
        }
        let body: Body =
            serde_json::from_str(text).map_err(|cause| corrupt(format!("it is not as its version says: {cause}")))?;
        if canonical(&outer).as_bytes() != bytes || canonical(&body) != text {
            return Err(corrupt(
                "its text is not canonical: names in their order, no white space, numbers as JavaScript writes them"
                    .to_string(),
            ));
        }
        body.check().map_err(corrupt)?;
        let signature = outer.signature.map(|signed| (signed, text.as_bytes().to_vec()));
        Ok(File { body, signature })
    }
}

impl Body {
    /// Refuses numbers that are none of what they stand for.
    fn check(&self) -> Result<(), String> {
        let hashes = self.certificates.iter().map(|entry| &entry.input).chain([&self.model.sha256]);
        for hash in hashes {
            if hash.len() != 64 || !hash.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("\"{}\" is no SHA-256 in hexadecimal", shortened(hash)));
            }
        }
        let bounds = self.layers.iter().flat_map(|layer| [Some(layer.lipschitz), layer.norm]).flatten();
        match bounds.chain([self.lipschitz]).find(|bound| !(bound.is_finite() && *bound >= 0.0)) {
            Some(bound) => Err(format!("a bound is {bound}; it is finite and not negative")),
            None => Ok(()),
        }
    }
}

impl Signed {
    /// Whether it is that of a message, and by whom.
    pub fn check(&self, message: &[u8], expected: Option<&str>) -> Result<(), String> {
        let Signed { algorithm, public_key, value } = self;
        if algorithm != "Ed25519" {
            return Err(format!("its algorithm is \"{}\"; this verifier knows Ed25519", shortened(algorithm)));
        }
        let key = bytes_of::<32>(public_key).and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        let (Some(key), Some(value)) = (key, bytes_of::<64>(value)) else {
            return Err("its key or its value is none of Ed25519 in hexadecimal".to_string());
        };
        if key.verify_strict(message, &Signature::from_bytes(&value)).is_err() {
            return Err(format!("it is not that of what the file holds by the key {public_key}"));
        }
        match expected.filter(|expected| *expected != public_key) {
            Some(expected) => Err(format!("it is by the key {public_key}, not by {}", shortened(expected))),
            None => Ok(()),
        }
    }
}

/// Bytes in lower-case hexadecimal.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || text.bytes().any(|c| !matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The beginning of a text from outside.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The text of a value whose fields stand in the order of their names, as RFC 8785 has it: no white space, numbers as JavaScript writes them.
pub(crate) fn canonical<T: Serialize>(value: &T) -> String {
    let mut text = Vec::new();
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Canonical));
    written.unwrap_or_else(|cause| unreachable!("a vector takes all that is written: {cause}"));
    String::from_utf8(text).unwrap_or_else(|cause| unreachable!("JSON is UTF-8: {cause}"))
}

struct Canonical;

impl Formatter for Canonical {
    fn write_f64<W: ?Sized + io::Write>(&mut self, to: &mut W, value: f64) -> io::Result<()> {
        to.write_all(number(value).as_bytes())
    }
}

/// Of the two texts of the fewest digits that are as near to a number, the one that ends in an even digit, as ECMAScript takes it.
fn even(digits: String, value: f64) -> String {
    // All digits that a number has: at most 767 of a float64.
    let text = format!("{value:.800e}");
    let exact = text.split('e').next().unwrap_or_default().replace('.', "");
    let (kept, rest) = exact.split_at(digits.len());
    let is_tie = rest.starts_with('5') && rest[1..].bytes().all(|digit| digit == b'0');
    let ends_even = |text: &str| text.bytes().last().is_some_and(|digit| digit % 2 == 0);
    // What is cut off is the smaller of the two.
    let is_number = |text: &str| {
        let power = text.len() as i64 - 1;
        let exponent = format!("{value:e}").split('e').nth(1).and_then(|e| e.parse::<i64>().ok()).unwrap_or(0);
        format!("{text}e{}", exponent - power).parse() == Ok(value)
    };
    if is_tie && ends_even(kept) && is_number(kept) { kept.to_string() } else { digits }
}

/// A finite number as ECMAScript's Number::toString writes it (ECMA-262, 6.1.6.1.20), of which RFC 8785 makes use.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    // The fewest digits that are this number alone, and the power of ten of the first.
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = even(mantissa.replace('.', ""), value.abs());
    let (count, point) = (digits.len() as i32, exponent.parse::<i32>().unwrap_or(0) + 1);
    let zeros = |n: i32| "0".repeat(n as usize);
    let plain = match point {
        1..=21 if count <= point => digits.clone() + &zeros(point - count),
        1..=21 => format!("{}.{}", &digits[..point as usize], &digits[point as usize..]),
        -5..=0 => format!("0.{}{digits}", zeros(-point)),
        _ => {
            let (sign, power) = (if point > 0 { '+' } else { '-' }, (point - 1).abs());
            let rest = if count == 1 { String::new() } else { format!(".{}", &digits[1..]) };
            format!("{}{rest}e{sign}{power}", &digits[..1])
        }
    };
    if value < 0.0 { format!("-{plain}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-12.5, "-12.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (1e-7, "1e-7"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1.25e300, "1.25e+300"),
            (5e-324, "5e-324"),
            (100.0, "100"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn hexadecimal_is_that_of_so_many_bytes() {
        assert_eq!(bytes_of::<2>("00ff"), Some([0, 255]));
        for text in ["00f", "00FF", "00fg", "", "00ff00", "+0ff"] {
            assert_eq!(bytes_of::<2>(text), None, "{text}");
        }
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
