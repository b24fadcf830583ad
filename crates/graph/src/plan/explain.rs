//! Prints a plan: stages, chunks, places, bytes and floating-point operations.
use std::fmt::Write;

use super::{Place, Plan, Stage};
use crate::graph::{Kind, NodeId};

impl Plan {
    /// The plan as text: what is cached, then each stage with its nodes.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let cached: usize = self.cached.iter().map(|c| self.graph.spec(c.node).bytes()).sum();
        let _ = writeln!(
            text,
            "batch {}, {} stages, arena {}, {} values of states alone ({})",
            self.batch,
            self.stages.len(),
            size(self.main_bytes),
            self.cached.len(),
            size(cached)
        );
        for cached in &self.cached {
            let _ = writeln!(text, "  cached    {}", self.line(cached.node));
        }
        for (index, stage) in self.stages.iter().enumerate() {
            match stage {
                Stage::Whole(nodes) => {
                    let _ = writeln!(
                        text,
                        "stage {index}: complete tensors, {}",
                        flops(nodes.iter().map(|&n| self.flops(n)).sum())
                    );
                    for &node in nodes {
                        let _ = writeln!(text, "  {}", self.line(node));
                    }
                }
                Stage::Segment(s) => {
                    let total = s.pieces.iter().map(|p| self.flops(p.node)).sum();
                    let _ = writeln!(
                        text,
                        "stage {index}: segment, {} tasks, chunks of {} samples, {} a worker, {}",
                        s.tasks,
                        s.chunk,
                        size(s.local_bytes + 4 * s.scratch),
                        flops(total)
                    );
                    for piece in &s.pieces {
                        let kind = if piece.slots.is_some() { "sum over samples  " } else { "" };
                        let _ = writeln!(text, "  {kind}{}", self.line(piece.node));
                    }
                }
            }
        }
        text
    }

    /// Floating-point operations of one node over the whole batch.
    pub fn flops(&self, id: NodeId) -> u64 {
        let node = self.graph.node(id);
        let Kind::Op(op) = &node.kind else { return 0 };
        let inputs: Vec<&[usize]> = node.inputs.iter().map(|&i| self.graph.shape(i)).collect();
        op.flops(&inputs, &node.spec.shape)
    }

    fn line(&self, id: NodeId) -> String {
        let node = self.graph.node(id);
        let place = match self.places[id] {
            Place::Leaf => "leaf",
            Place::Main(_) => "arena",
            Place::Local(_) => "chunk",
            Place::Cached(_) => "kept",
            Place::Unused => "unused",
        };
        let name = match &node.kind {
            Kind::Input { index, .. } => format!("input {index}"),
            Kind::State { id, .. } => format!("state {id}"),
            Kind::Op(op) => op.name().to_string(),
        };
        format!(
            "%{id} = {name}{:?} -> {} {:?} ({place}, {})",
            node.inputs,
            node.spec.dtype,
            node.spec.shape,
            flops(self.flops(id))
        )
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn flops(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.1} kFLOP", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MFLOP", count as f64 / 1e6),
        _ => format!("{:.2} GFLOP", count as f64 / 1e9),
    }
}
