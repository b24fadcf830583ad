// What is claimed and where: certificates, attacks, devices.
import { DDNAttack, Linear, Module, Sequential, type Tensor, zeros } from "tslip";
import { describe } from "vitest";
import { convolutional, dense, each, js, samples } from "./mistake.js";

const images = zeros([2, 4]);

class Own extends Module {
  forward(x: Tensor): Tensor {
    return x.mul(2);
  }
}

describe("certify", () => {
  each([
    [
      "images first",
      () => js.certify(images, dense()),
      ["INVALID_ARGUMENT", /certify takes a Module, then images; the first argument is a tensor f32 \[2, 4\]/],
    ],
    [
      "a data set",
      () => js.certify(dense(), samples()),
      ["INVALID_ARGUMENT", /images must be a tensor.*given a Dataset/],
    ],
    ["no images", () => js.certify(dense()), ["INVALID_ARGUMENT", /images must be .*given undefined/]],
    [
      "an empty batch",
      () => js.certify(dense(), zeros([0, 4])),
      ["EMPTY_DATASET", /certify needs at least one image; the batch is empty/],
    ],
    ["an empty array", () => js.certify(dense(), []), ["EMPTY_DATASET", /certify needs at least one image/]],
    [
      "one sample",
      () => js.certify(dense(), zeros([4])),
      ["SHAPE_MISMATCH", /layer 0 \(Linear\): .*given \[4\]; one sample is a batch of one/],
    ],
    [
      "images NHWC",
      () => js.certify(convolutional(), zeros([1, 8, 8, 1])),
      ["SHAPE_MISMATCH", /layer 0 \(Conv2d\): .*permute/],
    ],
    [
      "images that are NaN",
      () => js.certify(dense(), [[0, 0, Number.NaN, 0]]),
      ["NON_FINITE", /pixel 2 of image 0 is NaN/],
    ],
    [
      "a layer without a bound",
      () => js.certify(new Sequential([new Own()], { constrained: false }), images),
      ["NOT_LIPSCHITZ", /layer 0 \(Own\): Own has no known Lipschitz bound/],
    ],
    [
      "a radius for all certificates",
      () => js.formatRadius(undefined),
      ["INVALID_ARGUMENT", /a radius is a number; given undefined/],
    ],
    [
      "logits that are no numbers",
      () => js.functional.certificateRadius({ data: [1n, 0n], shape: [1, 2] }, { kind: "generic", lipschitz: 1 }),
      ["INVALID_ARGUMENT", /logits must be numbers; element 0 is 1n \(a BigInt\)/],
    ],
    [
      "a head that is no numbers",
      () =>
        js.functional.certificateRadius(
          { data: [1, 0], shape: [1, 2] },
          { kind: "pairwise", lipschitz: 1, head: { data: [1, "2"], shape: [2, 1] } },
        ),
      ["INVALID_ARGUMENT", /the data of head must be numbers; element 1 is "2" \(a string\)/],
    ],
    [
      "an array in the place of data",
      () => js.functional.certificateRadius([[1, 0]], { kind: "generic", lipschitz: 1 }),
      ["INVALID_ARGUMENT", /logits are \{ data, shape: \[n, classes\] \}; given an array of 1 arrays/],
    ],
  ]);
});

describe("claims about outputs", () => {
  each([
    [
      "an effort for one logit",
      () => js.certifyBinary(dense(), images, { effort: "local" }),
      ["INVALID_ARGUMENT", /certifyBinary has no option "effort"; it has none/],
    ],
    [
      "a radius for labels",
      () => js.certifyLabels(dense(), images, 0.5),
      ["INVALID_ARGUMENT", /certifyLabels takes no options; given 0\.5/],
    ],
    [
      "a name of nothing for labels",
      () => js.certifyLabels(dense(), images, { nonsense: 1 }),
      ["INVALID_ARGUMENT", /certifyLabels has no option "nonsense"; it has none/],
    ],
    [
      "one logit for classes",
      () => js.certify(new Linear(4, 1), images),
      ["SHAPE_MISMATCH", /two classes or more; given \[2, 1\]; certifyBinary\(\) certifies/],
    ],
    [
      "classes for one logit",
      () => js.certifyBinary(dense(), images),
      ["SHAPE_MISMATCH", /certifyBinary needs one logit .*certify\(\) is for classes.*gave \[2, 3\]/],
    ],
    [
      "images first",
      () => js.certifyLabels(images, dense()),
      ["INVALID_ARGUMENT", /certifyLabels takes a Module, then images; the first argument is a tensor/],
    ],
    [
      "no radius",
      () => js.outputBounds(dense(), images),
      ["INVALID_ARGUMENT", /radius must be finite and at least 0; given undefined/],
    ],
    [
      "a number for options",
      () => js.outputBounds(dense(), images, 0.1),
      ["INVALID_ARGUMENT", /outputBounds takes its options as a record \{ radius \}; given 0.1/],
    ],
    [
      "one radius for all of an AUROC",
      () => js.certifiedAuroc(new Linear(4, 1), images, images, 0.1),
      ["INVALID_ARGUMENT", /radii must be an array of finite numbers.*given 0.1/],
    ],
    [
      "percent for a confidence",
      () => js.wassersteinLowerBound(new Linear(4, 1), images, images, { confidence: 95 }),
      ["INVALID_ARGUMENT", /confidence must be above 0 and below 1; given 95/],
    ],
    [
      "coverage for alpha's name",
      () => js.ConformalClassifier.calibrate(dense(), samples(), { coverage: 0.9 }),
      ["INVALID_ARGUMENT", /ConformalClassifier.calibrate has no option "coverage"/],
    ],
    [
      "images without classes to calibrate on",
      () => js.ConformalClassifier.calibrate(dense(), images, { alpha: 0.1 }),
      ["INVALID_ARGUMENT", /needs a Dataset whose targets are classes; given a tensor f32 \[2, 4\]/],
    ],
  ]);
});

describe("attacks", () => {
  const attack = () => new DDNAttack({ steps: 2 }) as unknown as { run: (...args: unknown[]) => unknown };
  each([
    [
      "images first",
      () => attack().run(images, dense(), [0, 1]),
      ["INVALID_ARGUMENT", /an attack runs on a Module, images and labels; the first argument is a tensor f32/],
    ],
    [
      "a data set",
      () => attack().run(dense(), samples(), [0]),
      ["INVALID_ARGUMENT", /images of an attack must be a tensor.*given a Dataset/],
    ],
    [
      "no labels",
      () => attack().run(dense(), images),
      ["INVALID_ARGUMENT", /labels must be an array of class indices, one an image; given undefined/],
    ],
    [
      "labels in a tensor",
      () => attack().run(dense(), images, js.zeros([2])),
      ["INVALID_ARGUMENT", /labels must be an array .*given a tensor f32 \[2\]/],
    ],
    ["one label", () => attack().run(dense(), images, 0), ["INVALID_ARGUMENT", /labels must be an array .*given 0/]],
    [
      "a label too few",
      () => attack().run(dense(), images, [0]),
      ["SHAPE_MISMATCH", /labels has 1 entries for 2 images/],
    ],
    [
      "names for labels",
      () => attack().run(dense(), images, ["cat", "dog"]),
      ["LABEL_OUT_OF_RANGE", /labels\[0\] is "cat" \(a string\); expected an integer from 0 to 2/],
    ],
    [
      "a label that there is not",
      () => attack().run(dense(), images, [0, 3]),
      ["LABEL_OUT_OF_RANGE", /labels\[1\] is 3; expected an integer from 0 to 2/],
    ],
    [
      "pixels of 0 to 255",
      () => attack().run(dense(), images.add(255), [0, 1]),
      ["INVALID_ARGUMENT", /pixel 0 of image 0 is 255, outside the bounds \[0, 1\]; scale the images/],
    ],
    [
      "one epsilon",
      () => attack().run(dense(), images, [0, 1], { epsilons: 0.5 }),
      ["INVALID_ARGUMENT", /epsilons must be a list of numbers.*given 0.5/],
    ],
    [
      "an epsilon below 0",
      () => attack().run(dense(), images, [0, 1], { epsilons: [-1] }),
      ["INVALID_ARGUMENT", /epsilons\[0\] must be .*given -1/],
    ],
    [
      "bounds the other way round",
      () => attack().run(dense(), images, [0, 1], { bounds: [1, 0] }),
      ["INVALID_ARGUMENT", /bounds must be \[low, high\].*given \[1, 0\]/],
    ],
    [
      "bounds in a record",
      () => attack().run(dense(), images, [0, 1], { bounds: { low: 0 } }),
      ["INVALID_ARGUMENT", /bounds must be .*given \{ low \}/],
    ],
    [
      "a model of one logit",
      () => attack().run(new Linear(4, 1), images, [0, 0]),
      ["SHAPE_MISMATCH", /an attack needs logits .*of two classes or more/],
    ],
    [
      "no images",
      () => attack().run(dense(), zeros([0, 4]), []),
      ["EMPTY_DATASET", /an attack needs at least one image/],
    ],
  ]);
});

describe("devices", () => {
  const unknown = /expected "auto", "cpu", "gpu" or "gpu:N"/;
  each([
    ["PyTorch's name", () => js.setDefaultDevice("cuda:0"), ["UNKNOWN_DEVICE", unknown]],
    ["a number", () => js.onDevice(0, () => 1), ["UNKNOWN_DEVICE", /there is no device 0; expected/]],
    ["capitals", () => js.setDefaultDevice("CPU"), ["UNKNOWN_DEVICE", unknown]],
    ["nothing", () => js.setDefaultDevice(), ["UNKNOWN_DEVICE", /there is no device undefined/]],
    [
      "a preference that there is not",
      () => js.setDefaultDevice("cpu", { powerPreference: "fast" }),
      ["INVALID_ARGUMENT", /"low-power" or "high-performance"; given "fast" \(a string\)/],
    ],
    [
      "no function",
      () => js.onDevice("cpu"),
      ["INVALID_ARGUMENT", /onDevice takes a device, then a function; given undefined/],
    ],
  ]);
});

describe("files of certificates", () => {
  const claims = [{ predicted: 0, radius: 0, kind: "generic" }];
  const given = (more = {}) => ({ model: dense(), inputs: zeros([1, 4]), certificates: claims, ...more });
  const { certificates: _, ...subject } = given();
  each([
    [
      "the certificates first",
      () => js.saveCertificates(claims, "certificates.json"),
      ["INVALID_ARGUMENT", /saveCertificates takes the path of a file, then its options; given an array/],
    ],
    [
      "no options",
      () => js.verifyCertificates("certificates.json"),
      ["INVALID_ARGUMENT", /model must be the path of a file, or a Module; given undefined/],
    ],
    [
      "images by another name",
      () => js.verifyCertificates("certificates.json", { model: dense(), images }),
      ["INVALID_ARGUMENT", /verifyCertificates has no option "images"; it takes model, inputs/],
    ],
    [
      "one certificate in the place of all",
      () => js.saveCertificates("certificates.json", given({ certificates: claims[0] })),
      ["INVALID_ARGUMENT", /certificates must be a list, as certify gives it; given \{ predicted, radius, kind \}/],
    ],
    [
      "radii alone",
      () => js.saveCertificates("certificates.json", given({ certificates: [0.5] })),
      ["INVALID_ARGUMENT", /predicted of certificate 0 must be a class.*given undefined/],
    ],
    [
      "images of whole numbers",
      () => js.saveCertificates("certificates.json", given({ inputs: zeros([1, 4], { dtype: "i32" }) })),
      ["DTYPE_MISMATCH", /inputs are f32 or u8; given i32/],
    ],
    [
      "certificates of other images",
      () => js.saveCertificates("certificates.json", given({ inputs: images })),
      ["INVALID_ARGUMENT", /cannot be saved.*there are 2 inputs, and certificates of 1/],
    ],
    [
      "a key in the place of its hexadecimal digits",
      () => js.verifyCertificates("certificates.json", { ...subject, publicKey: new Uint8Array(32) }),
      ["INVALID_ARGUMENT", /publicKey must be an Ed25519 key, 64 hexadecimal digits.*given a Uint8Array/],
    ],
    [
      "a file that is not there",
      () => js.verifyCertificates("no/certificates.json", subject),
      ["IO", /no\/certificates.json cannot be read/],
    ],
  ]);
});
