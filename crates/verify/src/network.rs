//! A network as its file describes it: layers, containers, the values that pass through them.
use safetensors::SafeTensors;
use serde_json::{Map as Object, Value as Json};

use crate::layers::{Layer, Share, Weights, build, count};
use crate::rounding::{Known, Line, Rounded, Value};

/// Under this key a file of a model has its architecture.
const ARCHITECTURE: &str = "tslip.architecture";

/// Bytes of an architecture at most.
const MOST_TEXT: usize = 1 << 22;

/// A layer where it stands.
pub(crate) struct Placed {
    /// Its place in the model: numbers of layers and branches, names of parts, dots between them.
    pub place: String,
    /// The type that the file gives it, or the share of a residual.
    pub kind: String,
    pub layer: Box<dyn Layer>,
}

/// What a value passes through; layers by their numbers.
enum Node {
    Layer(usize),
    Sequence(Vec<Node>),
    /// The share of the input, the branch, its share.
    Residual(usize, Box<Node>, usize),
    Concat(Vec<Node>),
}

/// A network for samples of one shape.
pub(crate) struct Network {
    root: Node,
    /// In the order in which values pass through them.
    pub layers: Vec<Placed>,
    /// Numbers that containers pass on.
    passed: f64,
    pub classes: usize,
}

/// Why a file is no network, or none that is verified here.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It cannot be read.
    Invalid(String),
    /// It can, but not all of it is known here.
    Unsupported(String),
}

impl Network {
    /// The network in a safetensors file, for samples of a shape.
    pub fn read(file: &[u8], sample: &[usize]) -> Result<Network, Refusal> {
        let invalid = |cause: String| Refusal::Invalid(format!("it is no model in a safetensors file: {cause}"));
        let (_, header) = SafeTensors::read_metadata(file).map_err(|cause| invalid(cause.to_string()))?;
        let tensors = SafeTensors::deserialize(file).map_err(|cause| invalid(cause.to_string()))?;
        let text = header.metadata().as_ref().and_then(|texts| texts.get(ARCHITECTURE));
        let text = text.ok_or_else(|| invalid(format!("its metadata has no \"{ARCHITECTURE}\"")))?;
        if text.len() > MOST_TEXT {
            return Err(invalid(format!("its architecture has {} bytes; at most {MOST_TEXT} are read", text.len())));
        }
        let described: Json = serde_json::from_str(text).map_err(|cause| invalid(cause.to_string()))?;
        let mut builder = Builder { tensors: &tensors, layers: Vec::new(), passed: 0.0, depth: 0 };
        let (root, shape) = builder.node(&described, "", sample)?;
        let &[classes] = &shape[..] else {
            return Err(Refusal::Unsupported(format!(
                "the network gives values of shape {shape:?} for a sample; certificates are of a logit for each class"
            )));
        };
        if classes < 2 {
            return Err(Refusal::Unsupported(format!(
                "the network has {classes} class; certificates are of two or more"
            )));
        }
        Ok(Network { root, layers: builder.layers, passed: builder.passed, classes })
    }

    /// Operations of evaluating it once.
    pub fn operations(&self) -> f64 {
        self.passed + self.layers.iter().map(|placed| placed.layer.operations()).sum::<f64>()
    }

    /// The bound of the whole, made up of those of its layers.
    pub fn lipschitz(&self, known: &[Known]) -> f64 {
        let value = Value::sample(Vec::new(), false);
        self.root.bound(&value, known).product
    }

    /// The layer that gives the logits, if it is a dense map of all that enters it.
    pub fn head(&self) -> Option<(&[f32], usize, usize)> {
        self.layers[self.root.last()?].layer.head()
    }

    /// What it makes of a sample, and of the sample what enters a last layer that is a dense map.
    pub fn evaluate(&self, sample: Value, known: &[Known]) -> Evaluated {
        let mut before = None;
        let logits = self.root.pass(&sample, self, known, &mut before);
        Evaluated { logits, before }
    }
}

/// The logits of a sample.
pub(crate) struct Evaluated {
    pub logits: Value,
    /// Where the last layer is dense, of what enters it.
    pub before: Option<Before>,
}

/// What enters the last layer, and what that layer rounds by itself.
pub(crate) struct Before {
    pub ball: Line,
    pub product: f64,
    pub own: Line,
}

impl Node {
    /// The layer whose result is that of the node.
    fn last(&self) -> Option<usize> {
        match self {
            Node::Layer(at) => Some(*at),
            Node::Sequence(nodes) => nodes.last()?.last(),
            Node::Residual(..) | Node::Concat(_) => None,
        }
    }

    /// Only the bound of a value.
    fn bound(&self, value: &Value, known: &[Known]) -> Value {
        let through = |at: usize, value: &Value| value.through(&known[at], Vec::new());
        match self {
            Node::Layer(at) => through(*at, value),
            Node::Sequence(nodes) => nodes.iter().fold(value.clone(), |value, node| node.bound(&value, known)),
            Node::Residual(kept, branch, taken) => {
                through(*kept, value).plus(&through(*taken, &branch.bound(value, known)))
            }
            Node::Concat(nodes) => Value::beside(nodes.iter().map(|node| node.bound(value, known)).collect()),
        }
    }

    fn pass(&self, value: &Value, network: &Network, known: &[Known], before: &mut Option<Before>) -> Value {
        *before = None;
        let through =
            |at: usize, value: &Value| value.through(&known[at], network.layers[at].layer.apply(&value.numbers));
        match self {
            Node::Layer(at) => {
                let Rounded { ball: own, .. } = value.rounded(&known[*at]);
                *before = Some(Before { ball: value.ball, product: value.product, own });
                through(*at, value)
            }
            Node::Sequence(nodes) => {
                nodes.iter().fold(value.clone(), |value, node| node.pass(&value, network, known, before))
            }
            Node::Residual(kept, branch, taken) => {
                let of_branch = branch.pass(value, network, known, before);
                *before = None;
                through(*kept, value).plus(&through(*taken, &of_branch))
            }
            Node::Concat(nodes) => {
                let parts = nodes.iter().map(|node| node.pass(value, network, known, before)).collect();
                *before = None;
                Value::beside(parts)
            }
        }
    }
}

struct Builder<'a> {
    tensors: &'a SafeTensors<'a>,
    layers: Vec<Placed>,
    /// Numbers that containers pass on.
    passed: f64,
    /// Containers around the layer at hand.
    depth: usize,
}

/// Containers in one another at most.
const MOST_DEPTH: usize = 32;

/// Layers of a network at most.
const MOST_LAYERS: usize = 2_000;

impl Builder<'_> {
    /// What a description stands for, and the shape of its result.
    fn node(&mut self, described: &Json, prefix: &str, sample: &[usize]) -> Result<(Node, Vec<usize>), Refusal> {
        let place = prefix.trim_end_matches('.');
        let malformed =
            || Refusal::Invalid(format!("{} is not described by an object with a type", named(place, "a layer")));
        let Json::Object(object) = described else { return Err(malformed()) };
        let Some(Json::String(kind)) = object.get("type") else { return Err(malformed()) };
        let unsupported =
            |cause: String| Refusal::Unsupported(format!("{} cannot be verified: {cause}", named(place, kind)));
        if matches!(kind.as_str(), "Sequential" | "Concat" | "LipResidual") {
            self.passed += sample_size(sample).unwrap_or_default() as f64;
            self.depth += 1;
            if self.depth > MOST_DEPTH {
                return Err(unsupported(format!("containers stand in one another more than {MOST_DEPTH} times")));
            }
            let found = self.container(kind, object, prefix, sample, &unsupported);
            self.depth -= 1;
            return found;
        }
        let mut options = object.clone();
        options.remove("type");
        let weights = Weights { file: self.tensors, prefix };
        let layer = build(kind, &options, weights, sample).map_err(unsupported)?;
        let shape = layer.shape().to_vec();
        let at = self.place(place.to_string(), kind.clone(), layer).map_err(unsupported)?;
        Ok((Node::Layer(at), shape))
    }

    /// What values pass through parts of.
    fn container(
        &mut self,
        kind: &str,
        options: &Object<String, Json>,
        prefix: &str,
        sample: &[usize],
        unsupported: &dyn Fn(String) -> Refusal,
    ) -> Result<(Node, Vec<usize>), Refusal> {
        match kind {
            "Sequential" => {
                let layers = parts(options, "layers").map_err(unsupported)?;
                let (mut nodes, mut shape) = (Vec::new(), sample.to_vec());
                for (i, layer) in layers.iter().enumerate() {
                    let (node, next) = self.node(layer, &format!("{prefix}{i}."), &shape)?;
                    (shape, _) = (next, nodes.push(node));
                }
                Ok((Node::Sequence(nodes), shape))
            }
            "Concat" => {
                let branches = parts(options, "branches").map_err(unsupported)?;
                let (mut nodes, mut shape) = (Vec::new(), None::<Vec<usize>>);
                for (i, branch) in branches.iter().enumerate() {
                    let (node, next) = self.node(branch, &format!("{prefix}{i}."), sample)?;
                    nodes.push(node);
                    shape = Some(match shape {
                        None => next,
                        Some(mut all) => {
                            if next.is_empty() || all.is_empty() || next[1..] != all[1..] {
                                return Err(unsupported(format!("its branches give {all:?} and {next:?}")));
                            }
                            all[0] += next[0];
                            if sample_size(&all).is_none() {
                                return Err(unsupported(format!("its branches give {all:?}, which is too much")));
                            }
                            all
                        }
                    });
                }
                let shape = shape.ok_or_else(|| unsupported("it has no branches".to_string()))?;
                Ok((Node::Concat(nodes), shape))
            }
            _ => self.residual(options, prefix, sample, unsupported),
        }
    }

    fn residual(
        &mut self,
        options: &Object<String, Json>,
        prefix: &str,
        sample: &[usize],
        unsupported: &dyn Fn(String) -> Refusal,
    ) -> Result<(Node, Vec<usize>), Refusal> {
        let known = ["type", "branch", "kCoefLip", "constrained"];
        if options.keys().any(|key| !known.contains(&key.as_str()))
            || options.get("constrained") != Some(&Json::Bool(false))
        {
            return Err(unsupported(NOT_EXPORTED.to_string()));
        }
        let k = match options.get("kCoefLip") {
            None => 1.0,
            Some(k) => k.as_f64().ok_or_else(|| unsupported("its constant is no number".to_string()))?,
        };
        let branch = options.get("branch").ok_or_else(|| unsupported("it has no branch".to_string()))?;
        let alpha = Weights { file: self.tensors, prefix }.scalar("alpha").map_err(unsupported)?;
        let [kept, taken] = Share::both(alpha, k, sample).map_err(unsupported)?;
        let (node, shape) = self.node(branch, &format!("{prefix}branch."), sample)?;
        if shape != sample {
            return Err(unsupported(format!("its branch makes {shape:?} of {sample:?}")));
        }
        let kept = self.place(format!("{prefix}kept"), "Share".to_string(), Box::new(kept)).map_err(unsupported)?;
        let taken = self.place(format!("{prefix}taken"), "Share".to_string(), Box::new(taken)).map_err(unsupported)?;
        Ok((Node::Residual(kept, Box::new(node), taken), shape))
    }

    fn place(&mut self, place: String, kind: String, layer: Box<dyn Layer>) -> Result<usize, String> {
        if self.layers.len() == MOST_LAYERS {
            return Err(format!("networks of more than {MOST_LAYERS} layers are not looked at"));
        }
        self.layers.push(Placed { place, kind, layer });
        Ok(self.layers.len() - 1)
    }
}

/// The parts of a container that shares out no constant.
fn parts<'a>(options: &'a Object<String, Json>, name: &str) -> Result<&'a [Json], String> {
    let known = ["type", name, "constrained"];
    if options.keys().any(|key| !known.contains(&key.as_str()))
        || options.get("constrained") != Some(&Json::Bool(false))
    {
        return Err(NOT_EXPORTED.to_string());
    }
    match options.get(name) {
        Some(Json::Array(parts)) => Ok(parts),
        _ => Err(format!("it has no list of {name}")),
    }
}

const NOT_EXPORTED: &str = "it shares a constant out over its layers; save model.vanillaExport()";

/// A layer in a sentence.
pub(crate) fn named(place: &str, kind: &str) -> String {
    if place.is_empty() { kind.to_string() } else { format!("layer {place} ({kind})") }
}

/// Numbers of a sample, if they are neither none nor too many.
pub(crate) fn sample_size(shape: &[usize]) -> Option<usize> {
    let numbers = shape.iter().try_fold(1_usize, |all, n| all.checked_mul(*n))?;
    (1..=1 << 24).contains(&numbers).then(|| count(shape))
}
