//! Steps that a data set feeds: images and targets of any element type and shape, on the CPU and on a GPU where there is one.
mod common;

use common::{Builder, bytes, devices, floats};
use serde_json::json;
use tslip_engine::{Dataset, DatasetFeed, Engine, GraphDescription, JobRequest, StretchRequest};
use tslip_graph::{Code, DType, Spec};

const SAMPLES: usize = 11;
/// Whole batches of four, then what is left.
const BATCHES: [(usize, usize); 2] = [(2, 4), (1, 3)];

/// Element `i` of the images or targets, a small whole number in every element type.
fn element(i: usize) -> usize {
    i * 7 % 251
}

fn encoded(dtype: DType, len: usize) -> Vec<u8> {
    let values = (0..len).map(element);
    match dtype {
        DType::U8 => values.map(|v| v as u8).collect(),
        DType::I32 => values.flat_map(|v| (v as i32).to_le_bytes()).collect(),
        _ => values.flat_map(|v| (v as f32).to_le_bytes()).collect(),
    }
}

/// Samples `order` of rows of `size` elements, weighted by their position in the row and in the batch.
fn weighed(order: &[u32], size: usize) -> f64 {
    let row = |sample: u32, at: usize| -> f64 {
        (0..size).map(|j| (element(sample as usize * size + j) * (1 + at * size + j)) as f64).sum()
    };
    order.iter().enumerate().map(|(at, &sample)| row(sample, at)).sum()
}

/// A step that gives the sum of images and of targets, each element times its number in the batch from 1.
fn plan(engine: &Engine, batch: usize, device: &str, image: &Spec, target: &Spec) -> u32 {
    let mut b = Builder::default();
    let mut outputs = Vec::new();
    for (index, spec) in [image, target].into_iter().enumerate() {
        let input = b.input(index, &[&[batch], &spec.shape[..]].concat(), &spec.dtype.to_string());
        let values = b.op("cast", json!({ "dtype": "f32" }), &[input]);
        let values = b.op("reshape", json!({ "shape": [batch * spec.len()] }), &[values]);
        let count = b.op("iota", json!({ "shape": [batch * spec.len()], "axis": 0, "dtype": "f32" }), &[]);
        let one = b.scalar(1.0);
        let weights = b.bin("add", count, one);
        let terms = b.bin("mul", values, weights);
        outputs.push(b.sum(terms, &[0]));
    }
    let graph = json!({ "nodes": b.nodes, "outputs": outputs, "assigns": [], "batch": batch, "device": device });
    let description: GraphDescription = serde_json::from_value(graph).expect("a description");
    engine.compile(&description).expect("a plan").number
}

#[test]
fn images_and_targets_of_every_type_and_shape_arrive_in_the_order_that_is_asked_for() {
    let order: Vec<u32> = (0..SAMPLES as u32).map(|i| i * 5 % SAMPLES as u32).collect();
    let targets: [(DType, &[usize]); 5] =
        [(DType::I32, &[]), (DType::F32, &[]), (DType::F32, &[3]), (DType::I32, &[2]), (DType::F32, &[2, 1, 2])];
    for device in devices() {
        let engine = Engine::new().expect("an engine");
        for (pixel, (dtype, shape)) in [DType::U8, DType::F32].into_iter().flat_map(|p| targets.map(|t| (p, t))) {
            let (image, target) = (Spec::new([5], pixel), Spec::new(shape, dtype));
            let images = encoded(pixel, SAMPLES * image.len());
            let dataset = Dataset::new(image.clone(), &images, target.clone(), &encoded(dtype, SAMPLES * target.len()));
            let id = engine.create_dataset(dataset.expect("a data set"));
            let stretch = |&(steps, batch): &(usize, usize)| StretchRequest {
                plan: plan(&engine, batch, device, &image, &target),
                steps,
                inputs: Vec::new(),
            };
            let result = engine.run_sync(JobRequest {
                stretches: BATCHES.iter().map(stretch).collect(),
                dataset: Some(DatasetFeed { id, order: order.clone(), image_input: 0, target_input: 1 }),
                ..JobRequest::default()
            });
            let want: Vec<f64> = [&order[..4], &order[4..8], &order[8..]]
                .iter()
                .flat_map(|batch| [weighed(batch, image.len()), weighed(batch, target.len())])
                .collect();
            assert_eq!(result.expect("a result").scalars, want, "{device}, images {image:?}, targets {target:?}");
        }
    }
}

#[test]
fn a_step_that_takes_other_targets_than_the_data_set_has_is_refused() {
    let engine = Engine::new().expect("an engine");
    let (image, target) = (Spec::new([2], DType::F32), Spec::new([3], DType::F32));
    let dataset = Dataset::new(image.clone(), &bytes(&[0.0; 8]), target, &bytes(&[0.0; 12])).expect("a data set");
    let id = engine.create_dataset(dataset);
    for other in [Spec::new([], DType::I32), Spec::new([3], DType::I32), Spec::new([4], DType::F32)] {
        let plan = plan(&engine, 2, "cpu", &image, &other);
        let error = engine.run_sync(JobRequest {
            stretches: vec![StretchRequest { plan, steps: 2, inputs: Vec::new() }],
            dataset: Some(DatasetFeed { id, order: vec![0, 1, 2, 3], image_input: 0, target_input: 1 }),
            ..JobRequest::default()
        });
        let error = error.expect_err("targets of another kind");
        assert_eq!(error.code, Code::ShapeMismatch);
        assert!(error.message.contains("targets of f32 [3]"), "{}", error.message);
    }
}

#[test]
fn a_data_set_refuses_bytes_that_are_not_as_many_images_as_targets() {
    let pixels = bytes(&[0.0; 6]);
    let image = || Spec::new([3], DType::F32);
    let refused = [
        Dataset::new(image(), &pixels, Spec::new([], DType::I32), &[0; 12]),
        Dataset::new(image(), &pixels, Spec::new([], DType::I32), &[0; 7]),
        Dataset::new(image(), &pixels, Spec::new([], DType::I32), &[]),
        Dataset::new(image(), &pixels, Spec::new([0], DType::F32), &[]),
        Dataset::new(image(), &pixels, Spec::new([], DType::U8), &[0; 2]),
        Dataset::new(Spec::new([0], DType::F32), &[], Spec::new([], DType::I32), &[0; 8]),
        Dataset::new(Spec::new([3], DType::Bool), &[0; 6], Spec::new([], DType::I32), &[0; 8]),
    ];
    for dataset in refused {
        let code = dataset.expect_err("no data set").code;
        assert!(matches!(code, Code::ShapeMismatch | Code::InvalidArgument), "{code:?}");
    }
    let two = Dataset::new(image(), &pixels, Spec::new([2], DType::F32), &[0; 16]).expect("a data set");
    assert_eq!((two.len, floats(two.targets())), (2, vec![0.0; 4]));
}
