//! Prints a plan: stages, chunks, places, bytes, floating-point operations and, where it was measured, time.
use std::fmt::Write;
use std::time::Duration;

use super::count;
use super::layout::{Layout, Place, Stage};
use super::profile::Profile;
use crate::graph::{Kind, NodeId};

impl Layout {
    /// The plan as text: parameter-only values, then each stage with its nodes. With a profile each line begins with the
    /// milliseconds that a run takes there, added up over the workers.
    pub fn explain(&self, profile: Option<&Profile>) -> String {
        let mut text = String::new();
        let bytes: usize = self.parameter_only.iter().map(|c| self.graph.spec(c.node).bytes()).sum();
        let _ = writeln!(
            text,
            "batch {}, {} stages, arena {}, {} parameter-only values ({})",
            self.batch,
            self.stages.len(),
            size(self.main_bytes),
            self.parameter_only.len(),
            size(bytes)
        );
        if let Some(profile) = profile {
            let _ = writeln!(
                text,
                "{} ms a run; milliseconds of all workers before each line",
                milliseconds(profile.elapsed())
            );
        }
        let time = |node: NodeId| profile.map(|p| format!("{:>9} ", milliseconds(p.of(node)))).unwrap_or_default();
        let total = |nodes: &mut dyn Iterator<Item = NodeId>| {
            profile.map(|p| format!(", {} ms", milliseconds(nodes.map(|n| p.of(n)).sum()))).unwrap_or_default()
        };
        let parameter_only = self.parameter_only_nodes();
        if !parameter_only.is_empty() {
            let _ = writeln!(text, "parameter-only{}", total(&mut parameter_only.iter().copied()));
        }
        for node in parameter_only {
            let kept = if matches!(self.places[node], Place::ParameterOnly(_)) { "kept  " } else { "" };
            let _ = writeln!(text, "  {}{kept}{}", time(node), self.line(node));
        }
        for (index, stage) in self.stages.iter().enumerate() {
            match stage {
                Stage::Whole(nodes) | Stage::ProcessSums(nodes) => {
                    let _ = writeln!(
                        text,
                        "stage {index}: {}, {}{}",
                        if matches!(stage, Stage::ProcessSums(_)) { "sums over processes" } else { "complete tensors" },
                        flops(nodes.iter().map(|&n| self.flops(n)).sum()),
                        total(&mut nodes.iter().copied())
                    );
                    for &node in nodes {
                        let _ = writeln!(text, "  {}{}", time(node), self.line(node));
                    }
                }
                Stage::Segment(s) => {
                    let _ = writeln!(
                        text,
                        "stage {index}: segment of {} {}, {} tasks, chunks of {}, spans of {}, {} a worker, {}{}",
                        s.samples,
                        if s.flat { "elements" } else { "samples" },
                        s.tasks,
                        s.chunk,
                        s.span,
                        size(s.local_bytes + 4 * s.scratch),
                        flops(s.pieces.iter().map(|p| self.flops(p.node)).sum()),
                        total(&mut s.pieces.iter().map(|p| p.node))
                    );
                    for piece in &s.pieces {
                        let kind = match (piece.slots, piece.deferred) {
                            (None, _) => "",
                            (Some(_), false) => "sum over chunks  ",
                            (Some(_), true) => "sum over spans  ",
                        };
                        let _ = writeln!(text, "  {}{kind}{}", time(piece.node), self.line(piece.node));
                    }
                }
            }
        }
        text
    }

    /// The nodes behind parameter-only values: they are run only when a state they depend on has changed.
    fn parameter_only_nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.parameter_only.iter().flat_map(|c| c.needs.iter().copied()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Floating-point operations of one node over the whole batch.
    pub fn flops(&self, id: NodeId) -> u64 {
        count::flops(&self.graph, id)
    }

    fn line(&self, id: NodeId) -> String {
        let node = self.graph.node(id);
        let place = match self.places[id] {
            Place::Leaf => "leaf",
            Place::Main(_) => "arena",
            Place::Local(_) => "chunk",
            Place::Span(_) => "span",
            Place::ParameterOnly(_) => "kept",
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

fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}
