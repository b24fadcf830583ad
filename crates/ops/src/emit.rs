//! Shorthand for VJPs: emits nodes by name so that a derivative reads like its formula.
use serde_json::json;
use tslip_graph::{Graph, NodeId, Result};

/// Ops as methods of the graph.
#[allow(missing_docs)]
pub trait Emit {
    fn unary(&mut self, name: &str, x: NodeId) -> Result<NodeId>;
    fn binary(&mut self, name: &str, a: NodeId, b: NodeId) -> Result<NodeId>;
    /// A constant that broadcasts against everything.
    fn scalar(&mut self, value: f64) -> Result<NodeId>;
    fn scale(&mut self, x: NodeId, factor: f64) -> Result<NodeId>;
    fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Result<NodeId>;
    fn reshape(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId>;
    fn permute(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId>;
    fn broadcast_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId>;
    fn sum(&mut self, x: NodeId, axes: &[usize], keepdims: bool) -> Result<NodeId>;
    /// Sums over the axes along which `shape` was broadcast: the VJP of broadcasting.
    fn sum_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId>;
}

impl Emit for Graph {
    fn unary(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        self.emit(name, &json!({}), &[x])
    }

    fn binary(&mut self, name: &str, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit(name, &json!({}), &[a, b])
    }

    fn scalar(&mut self, value: f64) -> Result<NodeId> {
        self.emit("full", &json!({ "shape": [], "value": value, "dtype": "f32" }), &[])
    }

    fn scale(&mut self, x: NodeId, factor: f64) -> Result<NodeId> {
        let factor = self.scalar(factor)?;
        self.binary("mul", x, factor)
    }

    fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.emit("where", &json!({}), &[condition, a, b])
    }

    fn reshape(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.emit("reshape", &json!({ "shape": shape }), &[x])
    }

    fn permute(&mut self, x: NodeId, axes: &[usize]) -> Result<NodeId> {
        if axes.iter().enumerate().all(|(i, &a)| i == a) {
            return Ok(x);
        }
        self.emit("permute", &json!({ "axes": axes }), &[x])
    }

    fn broadcast_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.emit("broadcast_to", &json!({ "shape": shape }), &[x])
    }

    fn sum(&mut self, x: NodeId, axes: &[usize], keepdims: bool) -> Result<NodeId> {
        self.emit("sum", &json!({ "axes": axes, "keepdims": keepdims }), &[x])
    }

    fn sum_to(&mut self, x: NodeId, shape: &[usize]) -> Result<NodeId> {
        let from = self.shape(x).to_vec();
        let lead = from.len() - shape.len();
        let axes: Vec<usize> =
            (0..from.len()).filter(|&i| i < lead || (shape[i - lead] == 1 && from[i] != 1)).collect();
        if axes.is_empty() {
            return Ok(x);
        }
        let summed = self.sum(x, &axes, true)?;
        self.reshape(summed, shape)
    }
}
