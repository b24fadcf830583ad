//! `tslip-verify FILE --model FILE --inputs FILE [--key HEX] [--json]`: verifies a file of certificates, by nothing but this crate.
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use tslip_verify::{Inputs, Outcome, Verdict, Work, verify};

const USAGE: &str = "tslip-verify FILE --model FILE --inputs FILE [--key HEX] [--json]

  FILE      certificates, as saveCertificates writes them
  --model   the model, as saveModel(model.vanillaExport(), path) writes it
  --inputs  the inputs, the only tensor of a safetensors file
  --key     the public Ed25519 key of who must have signed them, in hexadecimal
  --json    what was found as JSON

Ends with 0 where every claim is proved, with 1 where one is not, with 2 where files cannot be read.";

/// Bytes of a file that is read at most.
const MOST_BYTES: u64 = 1 << 32;

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if given.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match run(given) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

#[derive(Default)]
struct Arguments {
    file: Option<String>,
    model: Option<String>,
    inputs: Option<String>,
    key: Option<String>,
    json: bool,
}

impl Arguments {
    fn parse(given: Vec<String>) -> Result<Self, String> {
        let mut read = Arguments::default();
        let mut given = given.into_iter();
        while let Some(argument) = given.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_string(), Some(value.to_string())),
                _ => (argument, None),
            };
            let to = match name.as_str() {
                "--json" if inline.is_none() => {
                    read.json = true;
                    continue;
                }
                "--model" => &mut read.model,
                "--inputs" => &mut read.inputs,
                "--key" => &mut read.key,
                _ if name.starts_with('-') => return Err(format!("there is no option {name}\n\n{USAGE}")),
                _ => {
                    if read.file.replace(name).is_some() {
                        return Err(format!("one file is verified at a time\n\n{USAGE}"));
                    }
                    continue;
                }
            };
            *to = Some(inline.or_else(|| given.next()).ok_or_else(|| format!("{name} needs a value\n\n{USAGE}"))?);
        }
        Ok(read)
    }
}

fn run(given: Vec<String>) -> Result<bool, String> {
    let Arguments { file, model, inputs, key, json } = Arguments::parse(given)?;
    let (Some(file), Some(model), Some(inputs)) = (file, model, inputs) else {
        return Err(format!("a file, its model and its inputs are needed\n\n{USAGE}"));
    };
    let [file, model, inputs] = [read(&file)?, read(&model)?, read(&inputs)?];
    let shown = std::io::stderr().is_terminal();
    let report = |part: f64| {
        if shown {
            // A terminal that takes no text is no reason to stop.
            let _ = write!(std::io::stderr(), "\rverifying: {:3.0} %\r", 100.0 * part);
        }
        true
    };
    let work = Work::new(&report);
    let verdict =
        verify(&file, &model, &Inputs::read(&inputs), key.as_deref(), &work).map_err(|_| "stopped".to_string())?;
    let Verdict { outcome, message, .. } = &verdict;
    if json {
        println!("{}", serde_json::to_string(&verdict).map_err(|cause| cause.to_string())?);
    } else {
        println!("{}: {message}", format!("{outcome:?}").to_uppercase());
    }
    Ok(*outcome == Outcome::Verified)
}

/// The bytes of a file that is one, and not too large.
fn read(path: &str) -> Result<Vec<u8>, String> {
    let failed = |cause: std::io::Error| format!("{path} cannot be read: {cause}");
    let known = std::fs::metadata(Path::new(path)).map_err(failed)?;
    if !known.is_file() || known.len() > MOST_BYTES {
        return Err(format!("{path} is no file, or larger than {MOST_BYTES} bytes"));
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(failed)?;
    opened.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
