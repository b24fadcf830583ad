//! The graph: nodes, shape inference, differentiation and planning. Knows no device.
