//! The binary finds of files what the library finds.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use safetensors::tensor::{Dtype as Kind, TensorView, serialize};
use tslip_verify::{Claim, Dtype, Inputs, Outcome, Work, certificate, sha256, verify};

const GO_ON: &dyn Fn(f64) -> bool = &|_| true;

/// Whole numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn floats(&mut self, count: usize) -> Vec<u8> {
        (0..count).flat_map(|_| (self.below(2000) as f32 / 1000.0 - 1.0).to_le_bytes()).collect()
    }
}

/// A safetensors file of float32 tensors.
fn tensors(entries: &[(&str, Vec<usize>, Vec<u8>)], metadata: Option<HashMap<String, String>>) -> Vec<u8> {
    let views: Vec<_> = entries
        .iter()
        .map(|(name, shape, data)| (name.to_string(), TensorView::new(Kind::F32, shape.clone(), data).unwrap()))
        .collect();
    serialize(views, metadata).unwrap()
}

const ARCHITECTURE: &str = r#"{"type":"Sequential","layers":[
    {"type":"Conv2d","inChannels":1,"outChannels":2,"kernelSize":[3,3],"padding":"same","bias":true},
    {"type":"GroupSort2","kCoefLip":1},{"type":"Flatten"},
    {"type":"Linear","inFeatures":32,"outFeatures":3,"bias":false}],"constrained":false}"#;

/// The bytes of a model, of inputs, and of certificates of all of them.
fn files() -> [Vec<u8>; 3] {
    let mut random = Random(5);
    let model = tensors(
        &[
            ("0.weight", vec![2, 1, 3, 3], random.floats(18)),
            ("0.bias", vec![2], random.floats(2)),
            ("3.weight", vec![3, 32], random.floats(96)),
        ],
        Some(HashMap::from([("tslip.architecture".to_string(), ARCHITECTURE.to_string())])),
    );
    let pixels = random.floats(5 * 16);
    let inputs = tensors(&[("images", vec![5, 1, 4, 4], pixels.clone())], None);
    let work = Work::new(GO_ON);
    let claim = |predicted: u64, radius: f64| Claim { predicted, radius, kind: "pairwise".to_string() };
    // Of each input the class of which radius 0 can be said, then the radius that is proved.
    let class = |i: usize| {
        let one = Inputs::new(Dtype::F32, &[1, 1, 4, 4], &pixels[64 * i..64 * (i + 1)]).unwrap();
        (0..3).find(|class| certificate(&model, &one, &[claim(*class, 0.0)], &work).is_ok()).unwrap()
    };
    let classes: Vec<u64> = (0..5).map(class).collect();
    let all = Inputs::read(&inputs).unwrap();
    let sealed = |claims: &[Claim]| seal(&certificate(&model, &all, claims, &work).unwrap());
    let modest: Vec<Claim> = classes.iter().map(|class| claim(*class, 0.0)).collect();
    let proved = verify(&sealed(&modest), &model, &Inputs::read(&inputs), None, &work).unwrap().proved;
    assert!(proved.iter().all(|radius| *radius > 0.0));
    let claims: Vec<Claim> = classes.iter().zip(&proved).map(|(class, radius)| claim(*class, *radius)).collect();
    let file = sealed(&claims);
    [model, inputs, file]
}

/// A file of a text, with the hash of that.
fn seal(text: &str) -> Vec<u8> {
    format!("{{\"certificate\":{text},\"sha256\":\"{}\"}}", sha256(text.as_bytes())).into_bytes()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tslip-verify-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(file: &Path, model: &Path, inputs: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tslip-verify"));
    command.arg(file).arg("--model").arg(model).arg(format!("--inputs={}", inputs.display())).args(more);
    command.output().unwrap()
}

#[test]
fn two_hundred_corruptions_end_as_they_do_in_the_library() {
    let (folder, whole) = (Folder::new("corruptions"), files());
    let mut random = Random(6);
    let mut outcomes: HashMap<String, usize> = HashMap::new();
    for i in 0..200 {
        let mut changed = whole.clone();
        let target = i % 4;
        // The text of a file inside its hash, which is made anew, or a file as it is.
        let mut bytes = if target == 3 { text_of(&whole[2]) } else { whole[target].clone() };
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        changed[target.min(2)] = if target == 3 { seal(&String::from_utf8_lossy(&bytes)) } else { bytes };
        let [model, inputs, file] = &changed;
        let found = verify(file, model, &Inputs::read(inputs), None, &Work::new(GO_ON)).unwrap();
        let [model, inputs, file] = ["model", "inputs", "file"].map(|name| folder.0.join(name));
        [&model, &inputs, &file].iter().zip(&changed).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
        let output = run(&file, &model, &inputs, &["--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.trim_end(), serde_json::to_string(&found).unwrap(), "corruption {i}");
        assert_eq!(output.status.code(), Some(i32::from(found.outcome != Outcome::Verified)), "corruption {i}");
        match target {
            0 => assert_eq!(found.outcome, Outcome::Model, "corruption {i}"),
            1 => assert!(found.outcome == Outcome::Input || is_header(&whole[1], at), "corruption {i}: {found:?}"),
            2 => assert_eq!(found.outcome, Outcome::Corrupt, "corruption {i}"),
            _ => {}
        }
        *outcomes.entry(format!("{:?}", found.outcome)).or_default() += 1;
    }
    assert!(outcomes.len() >= 4, "{outcomes:?}");
}

fn text_of(file: &[u8]) -> Vec<u8> {
    let end = file.windows(10).rposition(|part| part == b",\"sha256\":").unwrap();
    file[15..end].to_vec()
}

/// Whether a byte is none of the numbers of a safetensors file.
fn is_header(file: &[u8], at: usize) -> bool {
    at < 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize
}

#[test]
fn calls_that_make_no_sense_end_with_two_and_say_what_is_meant() {
    let (folder, [model, inputs, file]) = (Folder::new("calls"), files());
    let [model, inputs, file] =
        [("m", model), ("i", inputs), ("f", file)].map(|(name, bytes)| folder.write(name, &bytes));
    let output = run(&file, &model, &inputs, &[]);
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(0), &b"VERIFIED: all 5 certificates are proved\n"[..])
    );
    for (paths, more) in [
        ([&folder.0.join("none"), &model, &inputs], &[][..]),
        ([&file, &model, &folder.0], &[]),
        ([&file, &model, &inputs], &["--yes"]),
        ([&file, &model, &inputs], &["--key"]),
        ([&file, &model, &inputs], &["another"]),
    ] {
        let output = run(paths[0], paths[1], paths[2], more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
    let unsigned = run(&file, &model, &inputs, &["--key", &"0".repeat(64), "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&unsigned.stdout).unwrap();
    assert_eq!((found["outcome"].as_str(), unsigned.status.code()), (Some("SIGNATURE"), Some(1)));
}
