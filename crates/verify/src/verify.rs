//! A certificate file against its model and inputs; and the file of claims that hold.
use serde::Serialize;

use crate::claim::{Kind, Proved};
use crate::file::{
    Arithmetic, Body, Entry, FORMAT, File, InputKind, LayerEntry, ModelEntry, Radius, Unreadable, VERSION, canonical,
    sha256, shortened,
};
use crate::inputs::Inputs;
use crate::layers::{Map, count};
use crate::network::{Evaluated, Network, Placed, Refusal, named};
use crate::norm::Method;
use crate::outward::mul;
use crate::rounding::{Known, Value};
use crate::work::{Stopped, Work};

/// By how much more than a file says the norm of a layer may be, 2^-30 of it: what the roundings of another platform may do to its proof.
const TOLERANCE: f64 = 1.0 + 1.0 / (1 << 30) as f64;
/// By how much a bound that follows from norms may be more than a file says.
const FOLLOWING: f64 = 1.0 + 1.0 / (1 << 20) as f64;
/// Characters of a message at most.
const LONGEST_MESSAGE: usize = 400;
/// Operations above which nothing is tried: in all, and of evaluating the network once, which nobody can stop.
const MOST_OPERATIONS: f64 = 2e13;
const MOST_FOR_AN_INPUT: f64 = 2e10;

/// What has become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// Every claim in it is proved.
    Verified,
    /// It is not as it was written: its own hash, its form or its numbers.
    Corrupt,
    /// Its signature is none of what it holds, or not by whom it should be.
    Signature,
    /// The model is another.
    Model,
    /// Inputs are others.
    Input,
    /// A claim is more than is proved.
    Claim,
    /// It may be right, but this verifier does not know how to tell.
    Unsupported,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// In a word.
    pub outcome: Outcome,
    /// In a sentence.
    pub message: String,
    /// The certificate that it is about, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The layer that it is about, by its place in the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The key that has signed the file, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Of each certificate that was looked at the radius that is proved, infinite ones as a text.
    #[serde(serialize_with = "radii")]
    pub proved: Vec<f64>,
}

fn radii<S: serde::Serializer>(proved: &[f64], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(proved.iter().map(|radius| Radius(*radius)))
}

impl Verdict {
    fn of(outcome: Outcome, message: impl Into<String>) -> Verdict {
        // Of texts from outside there is no end.
        let message = message.into().chars().take(LONGEST_MESSAGE).collect();
        Verdict { outcome, message, index: None, layer: None, signer: None, proved: Vec::new() }
    }

    fn about(outcome: Outcome, index: usize, message: impl Into<String>) -> Verdict {
        Verdict { index: Some(index), ..Verdict::of(outcome, message) }
    }

    fn layer(outcome: Outcome, placed: &Placed, message: &str) -> Verdict {
        let message = format!("{}: {message}", named(&placed.place, &placed.kind));
        Verdict { layer: Some(placed.place.clone()), ..Verdict::of(outcome, message) }
    }
}

/// Whether an attempt has ended with a verdict, or was ended.
enum End {
    Verdict(Box<Verdict>),
    Stopped,
}

impl From<Stopped> for End {
    fn from(_: Stopped) -> Self {
        End::Stopped
    }
}

impl From<Verdict> for End {
    fn from(verdict: Verdict) -> Self {
        End::Verdict(Box::new(verdict))
    }
}

/// Verifies the bytes of a certificate file against those of the model's file and its inputs, and its signature against the one that is expected, a
/// public key of 32 bytes in hexadecimal. What is wrong with inputs that could not be read is an error of them.
pub fn verify(
    file: &[u8],
    model: &[u8],
    inputs: &Result<Inputs<'_>, String>,
    signer: Option<&str>,
    work: &Work,
) -> Result<Verdict, Stopped> {
    match verified(file, model, inputs, signer, work) {
        Ok(verdict) => Ok(verdict),
        Err(End::Verdict(verdict)) => Ok(*verdict),
        Err(End::Stopped) => Err(Stopped),
    }
}

fn verified(
    file: &[u8],
    model: &[u8],
    inputs: &Result<Inputs<'_>, String>,
    signer: Option<&str>,
    work: &Work,
) -> Result<Verdict, End> {
    let File { body, signature } = File::read(file).map_err(|problem| match problem {
        Unreadable::Corrupt(cause) => {
            Verdict::of(Outcome::Corrupt, format!("the certificate file is not as it was written: {cause}"))
        }
        Unreadable::Unsupported(cause) => {
            Verdict::of(Outcome::Unsupported, format!("the certificate file cannot be verified: {cause}"))
        }
    })?;
    let signed = match &signature {
        Some((signed, message)) => signed.check(message, signer).map(|()| Some(signed.public_key.clone())),
        None if signer.is_some() => Err("there is none".to_string()),
        None => Ok(None),
    };
    let signer =
        signed.map_err(|cause| Verdict::of(Outcome::Signature, format!("the signature does not hold: {cause}")))?;
    let found = sha256(model);
    if found != body.model.sha256 || model.len() as u64 != body.model.bytes {
        let given = format!("the SHA-256 of its {} bytes is {found}", model.len());
        let message = format!(
            "the model is not the one that was certified: {given}, not {} of {}",
            body.model.sha256, body.model.bytes
        );
        return Err(Verdict::of(Outcome::Model, message).into());
    }
    let inputs =
        inputs.as_ref().map_err(|cause| Verdict::of(Outcome::Input, format!("the inputs cannot be read: {cause}")))?;
    check_inputs(&body, inputs)?;
    if body.arithmetic != Arithmetic::known() {
        let message = "the claims are of another arithmetic than this verifier knows";
        return Err(Verdict::of(Outcome::Unsupported, message).into());
    }
    let network = read(model, inputs)?;
    expect(&network, body.layers.iter().map(|entry| entry.method), inputs, work)?;
    let proved = Proved::said_by(network, &body, work)?;
    let mut radii = Vec::new();
    for (i, Entry { kind, predicted, radius, .. }) in body.certificates.iter().enumerate() {
        let claim = Claim { predicted: *predicted, radius: radius.0, kind: kind.clone() };
        let found = proved.check(inputs, i, &claim, work);
        match found {
            Ok(radius) => radii.push(radius),
            Err(End::Verdict(verdict)) => return Err(Verdict { proved: radii, signer, ..*verdict }.into()),
            Err(End::Stopped) => return Err(End::Stopped),
        }
    }
    let message = format!("all {} certificates are proved", radii.len());
    Ok(Verdict { signer, proved: radii, ..Verdict::of(Outcome::Verified, message) })
}

/// Refuses inputs of another kind than those that were certified, another number of them, and others.
fn check_inputs(body: &Body, inputs: &Inputs<'_>) -> Result<(), Verdict> {
    let refused =
        |cause: String| Verdict::of(Outcome::Input, format!("the inputs are not those that were certified: {cause}"));
    let shape: Vec<u64> = inputs.shape.iter().map(|n| *n as u64).collect();
    let given = InputKind { dtype: inputs.dtype, shape };
    if given != body.inputs {
        let kind = |kind: &InputKind| format!("{:?} of shape {:?}", kind.dtype, kind.shape);
        return Err(refused(format!("they are {}, not {}", kind(&given), kind(&body.inputs))));
    }
    if inputs.count != body.certificates.len() {
        return Err(refused(format!("there are {}, and certificates of {}", inputs.count, body.certificates.len())));
    }
    match (0..inputs.count).find(|i| sha256(inputs.bytes(*i)) != body.certificates[*i].input) {
        Some(i) => Err(Verdict { index: Some(i), ..refused(format!("input {i} has another SHA-256")) }),
        None => Ok(()),
    }
}

fn read(model: &[u8], inputs: &Inputs<'_>) -> Result<Network, Verdict> {
    Network::read(model, &inputs.shape).map_err(|refusal| match refusal {
        Refusal::Invalid(cause) => Verdict::of(Outcome::Model, format!("the model cannot be read: {cause}")),
        Refusal::Unsupported(cause) => Verdict::of(Outcome::Unsupported, cause),
    })
}

/// Tells how much there is to do, and refuses what would take too long.
fn expect(
    network: &Network,
    methods: impl Iterator<Item = Method>,
    inputs: &Inputs<'_>,
    work: &Work,
) -> Result<(), Verdict> {
    let maps = network.layers.iter().map(|placed| placed.layer.map());
    let proofs: f64 =
        maps.zip(methods).map(|(map, method)| map.map_or(0.0, |map| map.cost(method) + map.rounding_cost())).sum();
    let each = network.operations();
    let all = proofs + inputs.count as f64 * each;
    if all > MOST_OPERATIONS || each > MOST_FOR_AN_INPUT {
        let message = format!(
            "verifying takes some {all:.0e} operations, {each:.0e} for an input; this verifier tries up to {MOST_OPERATIONS:.0e}, and \
             {MOST_FOR_AN_INPUT:.0e} for an input"
        );
        return Err(Verdict::of(Outcome::Unsupported, message));
    }
    work.expect(all);
    Ok(())
}

impl Proved {
    /// The network with the bounds that a file says, proved within their tolerance.
    fn said_by(network: Network, body: &Body, work: &Work) -> Result<Proved, End> {
        let same = |(placed, entry): (&Placed, &LayerEntry)| placed.place == entry.layer && placed.kind == entry.kind;
        if network.layers.len() != body.layers.len() || !network.layers.iter().zip(&body.layers).all(same) {
            let message = "the layers of the certificate are not those of the model";
            return Err(Verdict::of(Outcome::Claim, message).into());
        }
        let mut known = Vec::new();
        for (placed, entry) in network.layers.iter().zip(&body.layers) {
            known.push(proved(placed, entry, work)?);
        }
        let (bound, said) = (network.lipschitz(&known), body.lipschitz);
        if bound > mul(said, FOLLOWING.powi(4)) {
            let message =
                format!("the Lipschitz bound of the network is said to be {said}; that of its layers makes {bound}");
            return Err(Verdict::of(Outcome::Claim, message).into());
        }
        Ok(Proved::new(network, known, work)?)
    }

    /// The radius that is proved where a claim holds.
    fn check(&self, inputs: &Inputs<'_>, i: usize, claim: &Claim, work: &Work) -> Result<f64, End> {
        let Claim { predicted, radius, kind } = claim;
        let numbers = inputs.numbers(i);
        if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
            return Err(
                Verdict::about(Outcome::Input, i, format!("number {at} of input {i} is {}", numbers[at])).into()
            );
        }
        let evaluated =
            self.network.evaluate(Value::sample(numbers, inputs.dtype == crate::file::Dtype::U8), &self.known);
        work.did(self.network.operations())?;
        let refused = |outcome: Outcome, cause: String| Verdict::about(outcome, i, format!("certificate {i}: {cause}"));
        let class = usize::try_from(*predicted).ok().filter(|class| *class < self.network.classes);
        let Some(class) = class.filter(|class| self.may_be(&evaluated, *class)) else {
            let logits = &evaluated.logits.numbers;
            let largest =
                (0..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best });
            return Err(refused(Outcome::Claim, format!("the class is said to be {predicted}; it is {largest}")).into());
        };
        let Some(known) = Kind::named(kind) else {
            let found = self.best(&evaluated, class);
            if *radius <= found {
                return Ok(found);
            }
            let cause = format!(
                "the radius {radius} is of kind \"{}\", which this verifier does not prove; by the bounds of the whole network it is {found}",
                shortened(kind)
            );
            return Err(refused(Outcome::Unsupported, cause).into());
        };
        if !self.has(known) {
            let cause = format!("kind \"{kind}\" needs a last layer that is dense, of 1024 classes at most");
            return Err(refused(Outcome::Claim, cause).into());
        }
        let found = self.radius(&evaluated, class, known);
        if *radius <= found {
            return Ok(found);
        }
        Err(refused(Outcome::Claim, format!("the radius is said to be {radius}; {found} is proved")).into())
    }

    /// The largest radius by any kind.
    fn best(&self, at: &Evaluated, class: usize) -> f64 {
        let kinds = [Kind::Generic, Kind::Pairwise].into_iter().filter(|kind| self.has(*kind));
        kinds.map(|kind| self.radius(at, class, kind)).fold(0.0, f64::max)
    }
}

/// What is known of a layer, once the norm that a file says is proved.
fn proved(placed: &Placed, entry: &LayerEntry, work: &Work) -> Result<Known, End> {
    let refused = |outcome: Outcome, cause: &str| End::from(Verdict::layer(outcome, placed, cause));
    let layer = &placed.layer;
    let norm = match (layer.map(), entry.norm, entry.method) {
        (None, None, Method::Constant) => 1.0,
        (Some(map), Some(said), method) if map.allows(method) => {
            let Some(norm) = map.norm(method, work)? else {
                return Err(refused(
                    Outcome::Unsupported,
                    &format!("a proof by the method \"{method}\" takes too much"),
                ));
            };
            let limit = mul(said, TOLERANCE);
            if !norm.is_below(limit, work)? {
                return Err(refused(Outcome::Claim, &format!("its norm is said to be {said}, which is not proved")));
            }
            limit
        }
        _ => return Err(refused(Outcome::Claim, "its bound is said to be of another kind than there is")),
    };
    let known = known(placed, norm, work)?;
    if known.lipschitz > mul(entry.lipschitz, FOLLOWING) {
        let (bound, said) = (known.lipschitz, entry.lipschitz);
        return Err(refused(Outcome::Claim, &format!("its Lipschitz bound is said to be {said}; {bound} is proved")));
    }
    Ok(known)
}

fn known(placed: &Placed, norm: f64, work: &Work) -> Result<Known, Stopped> {
    let layer = &placed.layer;
    Ok(Known { lipschitz: layer.lipschitz(norm), rounding: layer.rounding(norm, work)?, results: count(layer.shape()) })
}

/// What is claimed of an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The class that float32 gives it.
    pub predicted: u64,
    /// No smaller perturbation changes that.
    pub radius: f64,
    /// By which bound of differences of logits: "generic", "pairwise" or "disjoint". Of other kinds it is written as it is, and verified as far as the bounds
    /// of the whole network prove it.
    pub kind: String,
}

/// Why no file is made.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// It would not be verified: what would be found.
    Verdict(Box<Verdict>),
    /// Somebody wanted it to end.
    Stopped,
}

impl From<End> for Refused {
    fn from(end: End) -> Self {
        match end {
            End::Verdict(verdict) => Refused::Verdict(verdict),
            End::Stopped => Refused::Stopped,
        }
    }
}

/// By how much of itself a claimed radius may pass what is proved, or by how much of the norm of an input: roundings are counted with more
/// care here, where the engine's own numbers are not known. What is written then is what is proved, less a share of it for other platforms' functions.
const NEAR: f64 = 0.01;
const ROUNDED: f64 = 1.0 / (1 << 16) as f64;
const LEFT: f64 = 1.0 / (1_u64 << 40) as f64;

/// The canonical text of a certificate: claims about inputs of a model, in their order, each of which has been proved anew.
pub fn certificate(model: &[u8], inputs: &Inputs<'_>, claims: &[Claim], work: &Work) -> Result<String, Refused> {
    certified(model, inputs, claims, work).map_err(Refused::from)
}

fn certified(model: &[u8], inputs: &Inputs<'_>, claims: &[Claim], work: &Work) -> Result<String, End> {
    if inputs.count != claims.len() {
        let message = format!("there are {} inputs, and certificates of {}", inputs.count, claims.len());
        return Err(Verdict::of(Outcome::Input, message).into());
    }
    let network = read(model, inputs)?;
    let dearest = |placed: &Placed| {
        let methods = placed.layer.map().map(|map| map.methods()).unwrap_or_default();
        methods.last().copied().unwrap_or(Method::Constant)
    };
    expect(&network, network.layers.iter().map(dearest), inputs, work)?;
    let mut layers = Vec::new();
    let (mut known_exactly, mut known_within) = (Vec::new(), Vec::new());
    for placed in &network.layers {
        let (method, norm) = match placed.layer.map() {
            Some(map) => best_bound(&map, work)?,
            None => (Method::Constant, 1.0),
        };
        if !norm.is_finite() {
            return Err(Verdict::layer(Outcome::Unsupported, placed, "no bound of its norm is found").into());
        }
        let has_map = placed.layer.map().is_some();
        known_within.push(known(placed, if has_map { mul(norm, TOLERANCE) } else { norm }, work)?);
        let of_norm = known_within.last().map(|known| Known { lipschitz: placed.layer.lipschitz(norm), ..*known });
        let lipschitz = of_norm.map_or(f64::INFINITY, |known| known.lipschitz);
        known_exactly.extend(of_norm);
        layers.push(LayerEntry {
            layer: placed.place.clone(),
            lipschitz,
            method,
            norm: has_map.then_some(norm),
            kind: placed.kind.clone(),
        });
    }
    let lipschitz = network.lipschitz(&known_exactly);
    let proved = Proved::new(network, known_within, work)?;
    let mut radii = Vec::new();
    for (i, claim) in claims.iter().enumerate() {
        let weakest = Claim { predicted: claim.predicted, radius: 0.0, kind: claim.kind.clone() };
        let found = proved.check(inputs, i, &weakest, work)?;
        let radius = if claim.radius <= found { claim.radius } else { found * (1.0 - LEFT) };
        let norm = inputs.numbers(i).iter().map(|x| x * x).sum::<f64>().sqrt();
        if claim.radius > found * (1.0 + NEAR) && claim.radius > found + ROUNDED * norm {
            proved.check(inputs, i, claim, work)?;
        }
        radii.push(radius);
    }
    let entry = |(i, claim): (usize, &Claim)| Entry {
        input: sha256(inputs.bytes(i)),
        kind: claim.kind.clone(),
        predicted: claim.predicted,
        radius: Radius(radii[i]),
    };
    let body = Body {
        arithmetic: Arithmetic::known(),
        certificates: claims.iter().enumerate().map(entry).collect(),
        format: FORMAT.to_string(),
        inputs: InputKind { dtype: inputs.dtype, shape: inputs.shape.iter().map(|n| *n as u64).collect() },
        layers,
        lipschitz,
        model: ModelEntry { bytes: model.len() as u64, sha256: sha256(model) },
        version: VERSION,
    };
    Ok(canonical(&body))
}

/// The smallest bound of a map by the proofs that are affordable, and which that is.
fn best_bound(map: &Map<'_>, work: &Work) -> Result<(Method, f64), Stopped> {
    let mut best = (Method::Constant, f64::INFINITY);
    for method in map.methods() {
        let Some(norm) = map.norm(method, work)? else { continue };
        let bound = norm.upper(work)?;
        if bound < best.1 {
            best = (method, bound);
        }
    }
    Ok(best)
}
