//! The graph: nodes, shape inference, differentiation and planning. Knows no device.
#![forbid(unsafe_code)]

pub mod arrange;
pub mod autodiff;
pub mod error;
pub mod fuse;
pub mod gpu;
pub mod graph;
pub mod op;
pub mod plan;
pub mod processes;
pub mod reference;
pub mod spec;
pub mod view;

pub use error::{Code, Error, Result};
pub use graph::{Graph, Kind, Node, NodeId, StateId};
pub use op::{Accuracy, Arranged, Basics, Fused, Fusion, Measured, Op, Operand, Registry, Samples, Site, Vjp};
pub use plan::{Plan, Request};
pub use processes::{Alone, Processes};
pub use spec::{DType, Spec};
pub use view::{Call, Data, DataMut, View, ViewMut};
