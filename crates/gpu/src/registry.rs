//! Devices that are open: one for each adapter and process, each with what its self-test has found.
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tslip_graph::Result;

use crate::adapter::adapter;
use crate::arithmetic::{self, Arithmetic};
use crate::device::Device;
use crate::lock::locked;

/// A device that is open, and how it computes.
#[derive(Clone, Debug)]
pub struct OpenDevice {
    /// The device.
    pub device: Arc<Device>,
    /// What its self-test has found.
    pub arithmetic: Arithmetic,
}

/// The device of adapter `index`, opened and tested if it is not; a lost one is opened again.
///
/// # Errors
/// `UNKNOWN_DEVICE` where there is no such adapter, `UNSUPPORTED` where it cannot do what kernels need, `DEVICE_LOST`
/// where its driver refuses.
pub fn open(index: usize) -> Result<OpenDevice> {
    static OPEN: Mutex<Option<HashMap<usize, OpenDevice>>> = Mutex::new(None);
    let mut open = locked(&OPEN);
    let open = open.get_or_insert_default();
    if let Some(known) = open.get(&index)
        && !known.device.is_lost()
    {
        return Ok(known.clone());
    }
    let (described, adapter) = adapter(index)?;
    let device = Arc::new(Device::new(described, &adapter)?);
    let arithmetic = arithmetic::test(&device)?;
    let opened = OpenDevice { device, arithmetic };
    open.insert(index, opened.clone());
    Ok(opened)
}
