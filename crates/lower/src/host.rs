//! Values without operands that are made on the CPU.
use tslip_graph::{Call, Code, DType, DataMut, Error, Kind, NodeId, Plan, Result, ViewMut};

/// The value of such a node.
pub fn value(plan: &Plan, id: NodeId) -> Result<Vec<u8>> {
    let node = plan.graph.node(id);
    let (Kind::Op(op), []) = (&node.kind, &node.inputs[..]) else {
        return Err(Error::internal("only ops without operands are made on the CPU for a GPU"));
    };
    let shape = &node.spec.shape;
    let memory = || Error::new(Code::OutOfMemory, "a tensor that is made on the CPU does not fit in memory");
    let len = node.spec.len();
    let mut scratch: Vec<f32> = Vec::new();
    let wanted = op.scratch(&[], shape);
    scratch.try_reserve_exact(wanted).map_err(|_| memory())?;
    scratch.resize(wanted, 0.0);
    let mut call =
        |data: DataMut<'_>| op.cpu(Call { inputs: &[], output: ViewMut { shape, data }, scratch: &mut scratch });
    Ok(match node.spec.dtype {
        DType::F32 => {
            let mut out = vec![0f32; len];
            call(DataMut::F32(&mut out));
            out.iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        DType::I32 => {
            let mut out = vec![0i32; len];
            call(DataMut::I32(&mut out));
            out.iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        DType::U8 => {
            let mut out = vec![0u8; len];
            call(DataMut::U8(&mut out));
            out
        }
        DType::Bool => {
            let mut out = vec![0u8; len];
            call(DataMut::Bool(&mut out));
            out
        }
    })
}
