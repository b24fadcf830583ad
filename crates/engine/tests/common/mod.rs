//! The network of the README and its training step, described as TypeScript describes it.
#![allow(dead_code)]
use serde_json::{Value, json};
use tslip_engine::{Engine, GraphDescription, JobRequest, StretchRequest};
use tslip_graph::{DType, Spec};

/// Collects nodes of a description.
#[derive(Default)]
pub struct Builder {
    pub nodes: Vec<Value>,
    pub assigns: Vec<Value>,
}

impl Builder {
    pub fn op(&mut self, op: &str, attributes: Value, inputs: &[usize]) -> usize {
        self.nodes.push(json!({ "op": op, "attributes": attributes, "inputs": inputs }));
        self.nodes.len() - 1
    }

    pub fn un(&mut self, op: &str, x: usize) -> usize {
        self.op(op, json!({}), &[x])
    }

    pub fn bin(&mut self, op: &str, a: usize, b: usize) -> usize {
        self.op(op, json!({}), &[a, b])
    }

    pub fn scalar(&mut self, value: f64) -> usize {
        self.op("full", json!({ "shape": [], "value": value, "dtype": "f32" }), &[])
    }

    pub fn scale(&mut self, x: usize, by: f64) -> usize {
        let by = self.scalar(by);
        self.bin("mul", x, by)
    }

    pub fn input(&mut self, index: usize, shape: &[usize], dtype: &str) -> usize {
        self.nodes.push(
            json!({ "op": "input", "attributes": { "index": index }, "shape": shape, "dtype": dtype, "batched": true }),
        );
        self.nodes.len() - 1
    }

    pub fn state(&mut self, id: u32, shape: &[usize]) -> usize {
        self.nodes.push(json!({ "op": "state", "attributes": { "id": id }, "shape": shape, "dtype": "f32" }));
        self.nodes.len() - 1
    }

    pub fn sum(&mut self, x: usize, axes: &[usize]) -> usize {
        self.op("sum", json!({ "axes": axes, "keepdims": false }), &[x])
    }

    pub fn assign(&mut self, state: u32, value: usize) {
        self.assigns.push(json!({ "state": state, "value": value }));
    }

    pub fn finish(self, outputs: &[usize], batch: usize) -> GraphDescription {
        self.finish_on(outputs, batch, "cpu")
    }

    pub fn finish_on(self, outputs: &[usize], batch: usize, device: &str) -> GraphDescription {
        let (nodes, assigns) = (self.nodes, self.assigns);
        let graph = json!({ "nodes": nodes, "outputs": outputs, "assigns": assigns, "batch": batch, "device": device });
        serde_json::from_value(graph).expect("a valid description")
    }
}

/// The devices of this machine; software that pretends to be a GPU will do.
pub fn devices() -> Vec<&'static str> {
    let gpu = (!tslip_gpu::adapters().is_empty()).then_some("gpu:0");
    assert!(gpu.is_some() || std::env::var_os("TSLIP_REQUIRE_GPU").is_none(), "a GPU is required");
    ["cpu"].into_iter().chain(gpu).collect()
}

/// Deterministic numbers in [-1, 1).
pub fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut s = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        (s >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// The bytes of a state.
pub fn value(engine: &Engine, id: u32, shape: &[usize]) -> Vec<u8> {
    let mut b = Builder::default();
    let state = b.state(id, shape);
    let plan = engine.compile(&b.finish(&[state], 1)).expect("a plan").number;
    let request =
        JobRequest { stretches: vec![StretchRequest { plan, steps: 1, inputs: Vec::new() }], ..JobRequest::default() };
    engine.run_sync(request).expect("a result").outputs.remove(0)
}

/// States of the reference network: weights and biases, each with the two moments of Adam, and the step count.
pub struct Network {
    pub parameters: Vec<(u32, Vec<usize>)>,
    pub moments: Vec<(u32, u32)>,
    pub count: u32,
    pub rate: u32,
}

impl Network {
    pub fn new(engine: &Engine) -> Network {
        let shapes: [&[usize]; 7] = [&[16, 1, 3, 3], &[16], &[32, 16, 3, 3], &[32], &[64, 1568], &[64], &[10, 64]];
        let make = |shape: &[usize], values: Vec<f32>| {
            engine.create_state(Spec::new(shape, DType::F32), &bytes(&values)).expect("a state")
        };
        let len = |s: &[usize]| s.iter().product::<usize>();
        let parameters: Vec<(u32, Vec<usize>)> = shapes
            .iter()
            .enumerate()
            .map(|(i, s)| {
                let values = if s.len() == 1 { vec![0.0; s[0]] } else { noise(i as u64 + 1, len(s)) };
                (make(s, values), s.to_vec())
            })
            .collect();
        let moments = shapes.iter().map(|s| (make(s, vec![0.0; len(s)]), make(s, vec![0.0; len(s)]))).collect();
        Network { parameters, moments, count: make(&[], vec![0.0]), rate: make(&[], vec![1e-3]) }
    }

    /// Logits of u8 images; effective weights from the parameters as spectral layers make them.
    pub fn logits(&self, b: &mut Builder, images: usize, batch: usize) -> (usize, Vec<usize>) {
        let p: Vec<usize> = self.parameters.iter().map(|(id, shape)| b.state(*id, shape)).collect();
        let weight = |b: &mut Builder, i: usize, factor: f64| {
            let shape = self.parameters[i].1.clone();
            let matrix = [shape[0], shape[1..].iter().product()];
            let w = b.op("reshape", json!({ "shape": matrix }), &[p[i]]);
            let sigma = b.op("spectral_norm", json!({}), &[w]);
            let w = b.bin("div", w, sigma);
            let w = b.op("bjorck", json!({ "iterations": 15, "beta": 0.5 }), &[w]);
            let w = b.op("reshape", json!({ "shape": shape }), &[w]);
            b.scale(w, factor)
        };
        let x = b.op("cast", json!({ "dtype": "f32" }), &[images]);
        let mut x = b.scale(x, 1.0 / 255.0);
        for (layer, channels) in [(0, 16), (2, 32)] {
            let w = weight(b, layer, 1.0 / 3.0);
            let convolution = json!({ "stride": [1, 1], "padding": [1, 1, 1, 1], "dilation": [1, 1], "groups": 1 });
            x = b.op("conv2d", convolution, &[x, w]);
            let bias = b.op("reshape", json!({ "shape": [1, channels, 1, 1] }), &[p[layer + 1]]);
            x = b.bin("add", x, bias);
            x = b.op("group_sort", json!({ "axis": 1, "groupSize": 2 }), &[x]);
            x = b.op("l2_norm_pool2d", json!({ "kernel": [2, 2], "stride": [2, 2] }), &[x]);
        }
        x = b.op("reshape", json!({ "shape": [batch, 1568] }), &[x]);
        let w = weight(b, 4, 1.0);
        x = b.op("matmul", json!({ "transposeA": false, "transposeB": true }), &[x, w]);
        x = b.bin("add", x, p[5]);
        x = b.op("group_sort", json!({ "axis": 1, "groupSize": 2 }), &[x]);
        let w = weight(b, 6, 1.0);
        (b.op("matmul", json!({ "transposeA": false, "transposeB": true }), &[x, w]), p)
    }

    /// One step of Adam on the additive HKR loss (alpha 100, margin 0.25); returns the loss.
    pub fn training_step(&self, batch: usize) -> GraphDescription {
        self.step_of_each(batch, 1)
    }

    /// The step of one of so many processes, each with `batch` samples; returns its share of the loss.
    pub fn step_of_each(&self, batch: usize, processes: usize) -> GraphDescription {
        let mut b = Builder::default();
        let over_all = |b: &mut Builder, x: usize| if processes > 1 { b.un("process_sum", x) } else { x };
        let images = b.input(0, &[batch, 1, 28, 28], "u8");
        let labels = b.input(1, &[batch], "i32");
        let (y, p) = self.logits(&mut b, images, batch);
        let t = b.op("one_hot", json!({ "classes": 10 }), &[labels]);
        let one = b.scalar(1.0);
        // hinge = mean((8 t + 1) relu(m - (2 t - 1) y))
        let sign = b.scale(t, 2.0);
        let sign = b.bin("sub", sign, one);
        let signed = b.bin("mul", sign, y);
        let margin = b.scalar(0.25);
        let slack = b.bin("sub", margin, signed);
        let slack = b.un("relu", slack);
        let factor = b.scale(t, 8.0);
        let factor = b.bin("add", factor, one);
        let hinge = b.bin("mul", factor, slack);
        let hinge = b.sum(hinge, &[0, 1]);
        let hinge = b.scale(hinge, 100.0 / ((batch * processes) as f64 * 10.0));
        // KR = mean over classes of the difference of the means inside and outside the class
        let inside = b.sum(t, &[0]);
        let inside = over_all(&mut b, inside);
        let all = b.scalar(batch as f64);
        let all = over_all(&mut b, all);
        let outside = b.bin("sub", all, inside);
        let own = b.bin("mul", y, t);
        let rest = b.bin("sub", y, own);
        let own = b.bin("div", own, inside);
        let rest = b.bin("div", rest, outside);
        let kr = b.bin("sub", own, rest);
        let kr = b.sum(kr, &[0, 1]);
        let kr = b.scale(kr, 0.1);
        let loss = b.bin("sub", hinge, kr);
        let count = b.state(self.count, &[]);
        let count = b.bin("add", count, one);
        b.assign(self.count, count);
        let rate = b.state(self.rate, &[]);
        let first = b.op("bias_correction", json!({ "beta": 0.9 }), &[count]);
        let second = b.op("bias_correction", json!({ "beta": 0.999 }), &[count]);
        let epsilon = b.scalar(1e-8);
        for (i, (id, shape)) in self.parameters.iter().enumerate() {
            let g = b.op("grad", json!({}), &[loss, p[i]]);
            let g = over_all(&mut b, g);
            let (m, v) = (b.state(self.moments[i].0, shape), b.state(self.moments[i].1, shape));
            let (m, new) = (b.scale(m, 0.9), b.scale(g, 0.1));
            let m = b.bin("add", m, new);
            let squared = b.un("square", g);
            let (v, new) = (b.scale(v, 0.999), b.scale(squared, 0.001));
            let v = b.bin("add", v, new);
            b.assign(self.moments[i].0, m);
            b.assign(self.moments[i].1, v);
            let (m, v) = (b.bin("div", m, first), b.bin("div", v, second));
            let root = b.un("sqrt", v);
            let root = b.bin("add", root, epsilon);
            let step = b.bin("div", m, root);
            let step = b.bin("mul", rate, step);
            let new = b.bin("sub", p[i], step);
            b.assign(*id, new);
        }
        b.finish(&[loss, y], batch)
    }
}

/// Images and labels of a batch.
pub fn batch(samples: usize) -> (Vec<u8>, Vec<u8>) {
    let images = noise(99, samples * 784).into_iter().map(|v| ((v + 1.0) * 127.0) as u8).collect();
    let labels = (0..samples).flat_map(|i| ((i * 7 % 10) as i32).to_le_bytes()).collect();
    (images, labels)
}
