// Files of certificates: what is written, what is found of it, and of what is wrong with it.
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AvgPool2d,
  type Certificate,
  Concat,
  Conv1d,
  Conv2d,
  ConvexPotentialConv2d,
  ConvTranspose2d,
  CPLConv2d,
  CPLLinear,
  certify,
  Flatten,
  FullSort,
  GroupSort,
  GroupSort2,
  HouseHolder,
  Identity,
  InvertibleDownSampling,
  InvertibleUpSampling,
  LayerCentering,
  Linear,
  LipResidual,
  LPReLU,
  MaxMin,
  MaxPool2d,
  Module,
  manualSeed,
  Normalize,
  OrthogonalConv2d,
  ReLU,
  randn,
  ScaleBiasLayer,
  ScaledAdaptiveAvgPool2d,
  ScaledAdaptiveL2NormPool2d,
  ScaledAvgPool2d,
  ScaledL2NormPool2d,
  Sequential,
  Sigmoid,
  Softmax,
  SpectralConv1d,
  SpectralConv2d,
  SpectralConvTranspose2d,
  SpectralLinear,
  saveCertificates,
  saveModel,
  saveSafetensors,
  Tanh,
  type Tensor,
  tensor,
  Unflatten,
  type Verification,
  verifyCertificates,
} from "tslip";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { codeOf, referenceNetwork } from "../train/subset.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-certificates-"));
  vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
});
afterAll(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** What a file holds, as far as tests change it. */
interface Body {
  arithmetic: Record<string, string>;
  certificates: { input: string; kind: string; predicted: number; radius: number | string }[];
  format: string;
  inputs: { dtype: string; shape: number[] };
  layers: { layer: string; lipschitz: number; method: string; norm?: number; type: string }[];
  lipschitz: number;
  model: { bytes: number; sha256: string };
  version: number;
}

/** RFC 8785, by JSON.stringify of objects whose names are sorted. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, one]) => `${JSON.stringify(name)}:${canonical(one)}`).join(",")}}`;
}

const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

/** What the published schema uses of JSON Schema. */
interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  pattern?: string;
  minimum?: number;
}

/** Whether a value is as a schema says, of which objects have no other fields. */
function fits(schema: Schema, value: unknown, root: Schema): boolean {
  const { $ref, type, anyOf, required = [], properties = {}, items, pattern, minimum } = schema;
  if ($ref !== undefined) return fits(root.$defs?.[$ref.replace("#/$defs/", "")] as Schema, value, root);
  if ("const" in schema) return value === schema.const;
  if (schema.enum !== undefined) return schema.enum.includes(value);
  if (anyOf !== undefined) return anyOf.some((one) => fits(one, value, root));
  switch (type) {
    case "object": {
      const fields = Object.entries(value as object);
      const named = required.every((name) => Object.hasOwn(value as object, name));
      return named && fields.every(([name, one]) => name in properties && fits(properties[name] as Schema, one, root));
    }
    case "array":
      return Array.isArray(value) && value.every((one) => fits(items as Schema, one, root));
    case "string":
      return typeof value === "string" && new RegExp(pattern ?? "").test(value);
    default: {
      const whole = type === "number" || Number.isSafeInteger(value);
      return typeof value === "number" && whole && value >= (minimum ?? Number.NEGATIVE_INFINITY);
    }
  }
}

/** A file of a body, whose hash is right. */
function sealed(text: string): Uint8Array {
  return Buffer.from(`{"certificate":${text},"sha256":"${sha256(text)}"}`);
}

/** Whole numbers below a bound that follow from a seed (mulberry32). */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** A network with a convolution and a dense head, its inputs, and what is certified of them, in files. */
interface Filed {
  model: string;
  inputs: string;
  file: string;
  certificates: Certificate[];
}

async function filed(name: string, network: Module, images: Tensor, options = {}): Promise<Filed> {
  const exported = network.vanillaExport();
  const [model, inputs, file] = ["model.safetensors", "inputs.safetensors", "certificates.json"].map((end) =>
    join(folder, `${name}-${end}`),
  ) as [string, string, string];
  const certificates = await certify(exported, images, options);
  await saveModel(exported, model);
  await saveSafetensors({ images }, inputs);
  await saveCertificates(file, { model, inputs, certificates });
  return { model, inputs, file, certificates };
}

function convolutional(seed = 3): Sequential {
  manualSeed(seed);
  return new Sequential([
    new SpectralConv2d(1, 4, { kernelSize: 3, padding: "same" }),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new Flatten(),
    new SpectralLinear(36, 3),
  ]);
}

const images = (samples: number, sample: readonly number[], seed = 5): Tensor =>
  tensor(randn([samples, ...sample], { seed }).dataSync(), [samples, ...sample]);

describe("a certificate file", () => {
  it("is verified with the files of the model and the inputs, with the model and the images, and from its bytes", async () => {
    const { model, inputs, file, certificates } = await filed("round", convolutional(), images(6, [1, 6, 6]));
    const found = await verifyCertificates(file, { model, inputs });
    expect(found).toMatchObject({ outcome: "VERIFIED", message: "all 6 certificates are proved" });
    found.proved.forEach((radius, i) => {
      const claimed = certificates[i]?.radius ?? Number.NaN;
      expect(radius).toBeGreaterThanOrEqual(claimed);
      // What it proves more is less than what float32 rounds at the image.
      expect(radius).toBeLessThan(claimed + 1e-4);
    });
    const live = { model: convolutional(), inputs: images(6, [1, 6, 6]) };
    expect((await verifyCertificates(await readFile(file), live)).outcome).toBe("VERIFIED");
    expect((await verifyCertificates(file, { ...live, model: convolutional(4) })).outcome).toBe("MODEL");
    expect((await verifyCertificates(file, { ...live, inputs: images(6, [1, 6, 6], 6) })).outcome).toBe("INPUT");
    expect((await verifyCertificates(file, { ...live, inputs: images(5, [1, 6, 6]) })).outcome).toBe("INPUT");
  });

  it("is canonical JSON that says what it claims, and of which files", async () => {
    const { model, file, certificates } = await filed("form", convolutional(), images(2, [1, 6, 6]));
    const text = await readFile(file, "utf8");
    const whole = JSON.parse(text) as { certificate: Body; sha256: string };
    expect(canonical(whole)).toBe(text);
    expect(whole.sha256).toBe(sha256(canonical(whole.certificate)));
    const published = new URL("../../docs/certificate-file.schema.json", import.meta.url);
    const schema = JSON.parse(await readFile(published, "utf8")) as Schema;
    expect(fits(schema, whole, schema)).toBe(true);
    expect(fits(schema, { ...whole, certificate: { ...whole.certificate, version: 2 } }, schema)).toBe(false);
    const { layers, lipschitz, ...body } = whole.certificate;
    const bytes = await readFile(model);
    const pixels = images(2, [1, 6, 6]).dataSync() as Float32Array;
    expect(body).toEqual({
      arithmetic: { format: "binary32", subnormals: "zero", sums: "one order for all results of a layer" },
      certificates: certificates.map(({ kind, predicted, radius }, i) => ({
        input: sha256(new Uint8Array(pixels.slice(36 * i, 36 * (i + 1)).buffer)),
        kind,
        predicted,
        radius,
      })),
      format: "tslip.certificates",
      inputs: { dtype: "f32", shape: [1, 6, 6] },
      model: { bytes: bytes.length, sha256: sha256(bytes) },
      version: 1,
    });
    expect(layers.map(({ layer, method, type }) => [layer, method, type])).toEqual([
      ["0", "operator", "Conv2d"],
      ["1", "constant", "GroupSort2"],
      ["2", "constant", "ScaledL2NormPool2d"],
      ["3", "constant", "Flatten"],
      ["4", "matrix", "Linear"],
    ]);
    expect(lipschitz / (certificates[0]?.lipschitz ?? 0)).toBeCloseTo(1, 6);
  });

  it("holds bytes, infinite radii and every kind", async () => {
    const constant = new Sequential([new Flatten(), new Linear(4, 2)], { constrained: false });
    constant.parameters().forEach((parameter) => {
      parameter.assign(tensor(parameter.shape.length === 1 ? [0, 1] : new Float32Array(8), parameter.shape));
    });
    const u8 = tensor(
      Uint8Array.from({ length: 8 }, (_, i) => 30 * i),
      [2, 4],
      { dtype: "u8" },
    );
    const { file, certificates, ...files } = await filed("bytes", constant, u8);
    expect(certificates.map(({ radius }) => radius)).not.toContain(0);
    expect((await verifyCertificates(file, files)).outcome).toBe("VERIFIED");
    for (const head of ["generic", "pairwise", "disjoint"]) {
      const { file, certificates, ...files } = await filed(head, convolutional(), images(4, [1, 6, 6]), { head });
      expect(new Set(certificates.map(({ kind }) => kind))).toEqual(new Set([head]));
      expect((await verifyCertificates(file, files)).outcome).toBe("VERIFIED");
    }
    const body = JSON.parse(await readFile(file, "utf8")).certificate as Body;
    const infinite = { ...body, certificates: body.certificates.map((one) => ({ ...one, radius: "Infinity" })) };
    const found = await verifyCertificates(sealed(canonical(infinite)), files);
    expect(found.outcome === "VERIFIED").toBe(certificates.every(({ radius }) => radius === Number.POSITIVE_INFINITY));
  });

  it("is signed by a key, and by no other", async () => {
    const { model, inputs, certificates } = await filed("signed", convolutional(), images(2, [1, 6, 6]));
    const file = join(folder, "signed.json");
    const pem = (key: ReturnType<typeof generateKeyPairSync>["privateKey"]) =>
      key.export({ type: "pkcs8", format: "pem" }) as string;
    const key = generateKeyPairSync("ed25519").privateKey;
    await saveCertificates(file, { model, inputs, certificates, privateKey: pem(key) });
    const found = await verifyCertificates(file, { model, inputs });
    expect(found).toMatchObject({ outcome: "VERIFIED", signer: expect.stringMatching(/^[0-9a-f]{64}$/) });
    const publicKey = found.signer as string;
    expect((await verifyCertificates(file, { model, inputs, publicKey })).outcome).toBe("VERIFIED");
    const another = publicKey.replace(/^../, publicKey.startsWith("00") ? "01" : "00");
    expect((await verifyCertificates(file, { model, inputs, publicKey: another })).outcome).toBe("SIGNATURE");
    const text = await readFile(file, "utf8");
    const whole = JSON.parse(text) as { certificate: Body; signature: { value: string; publicKey: string } };
    // Another body with its hash, the signature of the first.
    const body = { ...whole.certificate, lipschitz: 2 };
    const forged = { certificate: body, sha256: sha256(canonical(body)), signature: whole.signature };
    expect((await verifyCertificates(Buffer.from(canonical(forged)), { model, inputs })).outcome).toBe("SIGNATURE");
    const random = seeded(11);
    for (const field of ["value", "publicKey"] as const) {
      const digits = [...whole.signature[field]];
      const at = random(digits.length);
      digits[at] = digits[at] === "0" ? "1" : "0";
      const changed = { ...whole, signature: { ...whole.signature, [field]: digits.join("") } };
      expect((await verifyCertificates(Buffer.from(canonical(changed)), { model, inputs })).outcome).toBe("SIGNATURE");
    }
    // A file that nobody has signed is none by that key.
    const { signature: _, ...bare } = whole;
    const unsigned = Buffer.from(canonical(bare));
    expect((await verifyCertificates(unsigned, { model, inputs, publicKey })).outcome).toBe("SIGNATURE");
    expect((await verifyCertificates(unsigned, { model, inputs })).outcome).toBe("VERIFIED");
    const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
    for (const privateKey of ["no key", pem(rsa)])
      expect(await codeOf(() => saveCertificates(file, { model, inputs, certificates, privateKey }))).toBe(
        "INVALID_ARGUMENT",
      );
  });

  it("is not written of claims that are not proved, and what was there stays", async () => {
    const { model, inputs, file, certificates } = await filed("refused", convolutional(), images(3, [1, 6, 6]));
    const before = await readFile(file);
    const wrong = (i: number, change: Partial<Certificate>) =>
      certificates.map((one, at) => (at === i ? { ...one, ...change } : one));
    const [first] = certificates as [Certificate];
    for (const claims of [
      wrong(1, { radius: 9 }),
      wrong(0, { predicted: (first.predicted + 1) % 3 }),
      wrong(2, { radius: Number.NaN }),
      wrong(2, { radius: -1 }),
      wrong(2, { predicted: 3 }),
      certificates.slice(1),
    ]) {
      expect(await codeOf(() => saveCertificates(file, { model, inputs, certificates: claims }))).toBe(
        "INVALID_ARGUMENT",
      );
    }
    await expect(saveCertificates(file, { model, inputs, certificates: wrong(1, { radius: 9 }) })).rejects.toThrow(
      /certificate 1: the radius is said to be 9; .* is proved/,
    );
    expect(await codeOf(() => saveCertificates(file, { model: inputs, inputs, certificates }))).toBe("INVALID_FILE");
    expect(await codeOf(() => saveCertificates(file, { model: join(folder, "none"), inputs, certificates }))).toBe(
      "IO",
    );
    expect(await codeOf(() => saveCertificates("", { model, inputs, certificates }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(() => verifyCertificates(file, { model, inputs, publicKey: "0" }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(() => verifyCertificates(join(folder, "none"), { model, inputs }))).toBe("IO");
    expect(await codeOf(() => verifyCertificates("/dev/zero", { model, inputs }))).toBe("IO");
    expect(await readFile(file)).toEqual(before);
  });

  it("takes a smaller radius for a weaker claim, and of a kind that it does not prove what the whole network does", async () => {
    const { model, inputs, file, certificates } = await filed("weaker", convolutional(), images(3, [1, 6, 6]));
    const weaker = certificates.map((one) => ({ ...one, radius: one.radius / 2, kind: "local" as "generic" }));
    await saveCertificates(file, { model, inputs, certificates: weaker });
    expect((await verifyCertificates(file, { model, inputs })).outcome).toBe("VERIFIED");
    const before = await readFile(file, "utf8");
    const larger = weaker.map((one, i) => ({ ...one, radius: i === 1 ? 8 : one.radius }));
    await expect(saveCertificates(file, { model, inputs, certificates: larger })).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
    expect(await readFile(file, "utf8")).toBe(before);
    const { certificate } = JSON.parse(before) as { certificate: Body };
    (certificate.certificates[1] as Body["certificates"][0]).radius = 8;
    const found = await verifyCertificates(sealed(canonical(certificate)), { model, inputs });
    expect(found).toMatchObject({ outcome: "UNSUPPORTED", index: 1, message: expect.stringContaining('"local"') });
    expect(found.proved).toHaveLength(1);
  });

  it("tells how far it is, and ends when it is told to", async () => {
    const { model, inputs, file, certificates } = await filed("watched", convolutional(), images(3, [1, 6, 6]));
    const shares: number[] = [];
    const onProgress = (share: number): void => {
      shares.push(share);
    };
    await verifyCertificates(file, { model, inputs, onProgress });
    await vi.waitFor(() => expect(shares.length).toBeGreaterThan(0));
    expect(shares.every((share) => share > 0 && share <= 1)).toBe(true);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(verifyCertificates(file, { model, inputs, signal })).rejects.toThrow("enough");
    const controller = new AbortController();
    const stop = (): void => controller.abort(new Error("later"));
    const long = {
      model: referenceNetwork(),
      inputs: images(200, [1, 28, 28]),
      certificates,
      signal: controller.signal,
    };
    const many = Array.from({ length: 200 }, () => ({ ...(certificates[0] as Certificate), radius: 0 }));
    await expect(saveCertificates(file, { ...long, certificates: many, onProgress: stop })).rejects.toThrow("later");
  });
});

describe("of layers", () => {
  const dense = (inputs: number, rest: Module[] = []): Module[] => [...rest, new Flatten(), new Linear(inputs, 3)];
  /** Networks, with the shape of a sample; weights are random. */
  const networks: Record<string, [layers: () => Module[], sample: readonly number[]]> = {
    "convolutions with borders": [
      () => dense(24, [new Conv2d(2, 3, { kernelSize: 3, padding: 1, paddingMode: "reflect", stride: [1, 2] })]),
      [2, 4, 3],
    ],
    "circular, replicating and symmetric convolutions": [
      () =>
        dense(18, [
          new Conv2d(1, 2, { kernelSize: 3, padding: "same", paddingMode: "circular" }),
          new Conv2d(2, 2, { kernelSize: 2, padding: 1, paddingMode: "replicate", stride: 2 }),
          new Conv2d(2, 2, { kernelSize: 2, padding: "same", paddingMode: "symmetric", groups: 2 }),
        ]),
      [1, 5, 5],
    ],
    "convolutions of sequences": [
      () =>
        dense(8, [
          new SpectralConv1d(2, 4, { kernelSize: 3, padding: 1, stride: 2 }),
          new Conv1d(4, 2, { kernelSize: 2, dilation: 2, padding: 1, paddingMode: "circular", groups: 2 }),
        ]),
      [2, 8],
    ],
    "transposed convolutions": [
      () =>
        dense(52, [
          new SpectralConvTranspose2d(2, 3, { kernelSize: 2, stride: 2 }),
          new ConvTranspose2d(3, 1, { kernelSize: [3, 2], stride: [1, 2], padding: [1, 0], outputPadding: [0, 1] }),
        ]),
      [2, 2, 3],
    ],
    "gradient steps": [
      () => [
        new CPLConv2d(2, 3, { kernelSize: 3 }),
        new ConvexPotentialConv2d(2, 2, { kernelSize: 3, paddingMode: "circular", kCoefLip: 1.5 }),
        new Flatten(),
        new CPLLinear(32, 8),
        new Linear(32, 3),
      ],
      [2, 4, 4],
    ],
    "orthogonal convolutions": [() => dense(12, [new OrthogonalConv2d(2, 3, { kernelSize: 3 })]), [2, 4, 4]],
    activations: [
      () =>
        dense(24, [
          new GroupSort(3),
          new FullSort({ kCoefLip: 0.7 }),
          new LPReLU({ numParameters: 6 }),
          new MaxMin(),
          new HouseHolder(12),
          new ReLU(),
        ]),
      [6, 2],
    ],
    functions: [
      () => [new Linear(4, 5), new Tanh(), new Linear(5, 5), new Sigmoid(), new Softmax(), new Linear(5, 3)],
      [4],
    ],
    pooling: [
      () =>
        dense(8, [
          new ScaledAvgPool2d({ kernelSize: 3, stride: 2, padding: 1 }),
          new ScaledL2NormPool2d({ kernelSize: 2, stride: 1, kCoefLip: 1.2 }),
          new AvgPool2d({ kernelSize: 3, stride: 2, padding: 1, countIncludePad: false, ceilMode: true }),
          new MaxPool2d({ kernelSize: 2, stride: 1, padding: 1 }),
          new ScaledAdaptiveL2NormPool2d({ outputSize: [3, 2] }),
          new ScaledAdaptiveAvgPool2d({ outputSize: 2 }),
        ]),
      [2, 9, 8],
    ],
    moving: [
      () =>
        dense(32, [
          new Identity(),
          new InvertibleDownSampling({ kernelSize: 2 }),
          new InvertibleUpSampling({ kernelSize: [1, 2], kCoefLip: 2 }),
          new Flatten(),
          new Unflatten(1, [4, -1, 2]),
        ]),
      [2, 4, 4],
    ],
    normalisation: [
      () =>
        dense(24, [
          new Normalize([0.1, 0.2], 0.5),
          new LayerCentering(2),
          new LayerCentering(2, { dim: [1, -1], bias: false }),
          new ScaleBiasLayer(-1.5, 2),
        ]),
      [2, 3, 4],
    ],
    containers: [
      () => [
        new Flatten(),
        new LipResidual(new Sequential([new SpectralLinear(6, 6), new GroupSort2()]), { kCoefLip: 0.8 }),
        new Concat([
          new SpectralLinear(6, 4),
          new Sequential([new Linear(6, 2)], { constrained: false }),
          new Identity(),
        ]),
        new Linear(12, 3),
      ],
      [2, 3],
    ],
    "a network that ends in another layer": [() => [new SpectralLinear(6, 4), new FullSort()], [6]],
  };

  it.each(Object.entries(networks))("%s are proved as they are certified", async (name, [layers, sample]) => {
    manualSeed(23);
    const network = new Sequential(layers(), { constrained: false });
    network.parameters().forEach((parameter, i) => {
      if (parameter.shape.length < 2) parameter.assign(randn(parameter.shape, { seed: 40 + i }).mul(0.3));
    });
    const { file, certificates, ...files } = await filed(name.replaceAll(" ", "-"), network, images(8, sample));
    const found = await verifyCertificates(file, files);
    expect(found).toMatchObject({ outcome: "VERIFIED" });
    expect(certificates.some(({ radius }) => radius > 0)).toBe(true);
    found.proved.forEach((radius, i) => {
      const claimed = certificates[i]?.radius ?? Number.NaN;
      expect(radius).toBeGreaterThanOrEqual(claimed);
      // It proves the same by other code: but for what float32 rounds, and a bound for all sizes of image where one size is known.
      expect(radius).toBeLessThan(1.01 * claimed + 1e-3);
    });
  });

  it("are unknown where they are no layers of the library, or share out a constant", async () => {
    const x = images(2, [6]);
    const network = new Sequential([new SpectralLinear(6, 3)]);
    const certificates = await certify(network, x);
    const model = join(folder, "constrained.safetensors");
    await saveModel(network, model);
    const save = () => saveCertificates(join(folder, "none.json"), { model, inputs: x, certificates });
    expect(await codeOf(save)).toBe("UNSUPPORTED");
    await expect(save()).rejects.toThrow(/vanillaExport/);
    class Own extends Module {
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    const own = new Sequential([new Own(), new Linear(6, 3)], { constrained: false });
    const options = { model: own, inputs: x, certificates };
    expect(await codeOf(() => saveCertificates(join(folder, "none.json"), options))).not.toBe("nothing thrown");
  });
});

describe("200 random corruptions", () => {
  let honest: Verification;
  let files: Filed;
  let bytes: { file: Uint8Array; model: Uint8Array; inputs: Uint8Array };
  let body: Body;
  beforeAll(async () => {
    files = await filed("corrupted", convolutional(), images(4, [1, 6, 6]));
    honest = await verifyCertificates(files.file, { model: files.model, inputs: files.inputs });
    const [file, model, inputs] = await Promise.all(
      [files.file, files.model, files.inputs].map((path) => readFile(path)),
    );
    bytes = { file, model, inputs } as typeof bytes;
    body = JSON.parse(Buffer.from(bytes.file).toString()).certificate as Body;
    expect(honest.outcome).toBe("VERIFIED");
  });

  /** A byte that is another, is left out or is doubled. */
  function damaged(content: Uint8Array, random: (below: number) => number): Uint8Array {
    const copy = Uint8Array.from(content);
    const at = random(copy.length);
    switch (random(3)) {
      case 0:
        copy[at] = (copy[at] ?? 0) ^ (1 << random(8));
        return copy;
      case 1:
        return Buffer.concat([copy.slice(0, at), copy.slice(at + 1)]);
      default:
        return Buffer.concat([copy.slice(0, at + 1), copy.slice(at)]);
    }
  }

  async function outcomeOf({ file = bytes.file, model = bytes.model, inputs = bytes.inputs }): Promise<Verification> {
    const paths = { model: join(folder, "damaged-model"), inputs: join(folder, "damaged-inputs") };
    await Promise.all([writeFile(paths.model, model), writeFile(paths.inputs, inputs)]);
    return await verifyCertificates(file, paths);
  }

  it("of a model, of inputs and of a file end as what they are", async () => {
    const random = seeded(1);
    for (let i = 0; i < 35; i++) {
      expect((await outcomeOf({ model: damaged(bytes.model, random) })).outcome).toBe("MODEL");
      expect((await outcomeOf({ file: damaged(bytes.file, random) })).outcome).toBe("CORRUPT");
    }
    // What is not the bytes of an input, such as the length of the header, is no part of its hash: as long as the inputs are the same, so is the outcome.
    const header = 8 + Number(new DataView(bytes.inputs.buffer, bytes.inputs.byteOffset).getBigUint64(0, true));
    for (let i = 0; i < 30; i++) {
      const inputs = Uint8Array.from(bytes.inputs);
      const at = header + random(inputs.length - header);
      inputs[at] = (inputs[at] ?? 0) ^ (1 << random(8));
      const found = await outcomeOf({ inputs });
      expect(found).toMatchObject({ outcome: "INPUT", index: Math.floor((at - header) / (4 * 36)) });
    }
  });

  /** What may be changed in a file, and what is found of it. */
  const changes: readonly [string, (body: Body, random: (below: number) => number) => Partial<Verification>][] = [
    [
      "a larger radius",
      (body, random) => {
        const index = random(body.certificates.length);
        const one = body.certificates[index] as Body["certificates"][number];
        one.radius = (honest.proved[index] ?? 0) * (1 + 10 ** -random(9));
        return { outcome: "CLAIM", index };
      },
    ],
    [
      "a smaller radius",
      (body, random) => {
        const one = body.certificates[random(body.certificates.length)] as Body["certificates"][number];
        one.radius = Number(one.radius) * (1 - 10 ** -random(9));
        return { outcome: "VERIFIED" };
      },
    ],
    [
      "an infinite radius",
      (body, random) => {
        const index = random(body.certificates.length);
        (body.certificates[index] as Body["certificates"][number]).radius = "Infinity";
        return { outcome: "CLAIM", index };
      },
    ],
    [
      "another class",
      (body, random) => {
        const index = random(body.certificates.length);
        const one = body.certificates[index] as Body["certificates"][number];
        one.predicted = random(2) === 0 ? (one.predicted + 1 + random(2)) % 3 : 3 + random(1000);
        return { outcome: "CLAIM", index };
      },
    ],
    [
      "another model",
      (body, random) => {
        const digits = [...body.model.sha256];
        const at = random(64);
        digits[at] = digits[at] === "0" ? "1" : "0";
        body.model.sha256 = digits.join("");
        return { outcome: "MODEL" };
      },
    ],
    [
      "another length of the model",
      (body, random) => {
        body.model.bytes += 1 + random(9);
        return { outcome: "MODEL" };
      },
    ],
    [
      "another input",
      (body, random) => {
        const index = random(body.certificates.length);
        const one = body.certificates[index] as Body["certificates"][number];
        one.input = sha256(String(random(1000)));
        return { outcome: "INPUT", index };
      },
    ],
    [
      "a certificate less",
      (body, random) => {
        body.certificates.splice(random(body.certificates.length), 1);
        return { outcome: "INPUT" };
      },
    ],
    [
      "inputs of another shape",
      (body) => {
        body.inputs.shape = [36];
        return { outcome: "INPUT" };
      },
    ],
    [
      "inputs of another type",
      (body) => {
        body.inputs.dtype = "u8";
        return { outcome: "INPUT" };
      },
    ],
    [
      "a smaller norm",
      (body, random) => {
        const layer = body.layers[random(2) * 4] as Body["layers"][number];
        layer.norm = (layer.norm ?? 0) * (1 - 10 ** -(1 + random(6)));
        return { outcome: "CLAIM", layer: layer.layer };
      },
    ],
    [
      "a norm so large that no radius follows from it",
      (body, random) => {
        const layer = body.layers[random(2) * 4] as Body["layers"][number];
        layer.norm = layer.lipschitz = 2 + random(5);
        body.lipschitz *= 10;
        return { outcome: "CLAIM" };
      },
    ],
    [
      "a smaller bound of a layer",
      (body, random) => {
        const layer = body.layers[random(5)] as Body["layers"][number];
        layer.lipschitz *= 1 - 10 ** -(1 + random(5));
        return { outcome: "CLAIM", layer: layer.layer };
      },
    ],
    [
      "a smaller bound of the network",
      (body, random) => {
        body.lipschitz *= 1 - 10 ** -(1 + random(4));
        return { outcome: "CLAIM" };
      },
    ],
    [
      "a layer less",
      (body, random) => {
        body.layers.splice(random(5), 1);
        return { outcome: "CLAIM" };
      },
    ],
    [
      "another method",
      (body, random) => {
        const layer = body.layers[random(5)] as Body["layers"][number];
        layer.method = layer.method === "constant" ? "matrix" : "constant";
        return { outcome: "CLAIM", layer: layer.layer };
      },
    ],
    [
      "another type of layer",
      (body, random) => {
        const layer = body.layers[random(5)] as Body["layers"][number];
        layer.type = "Identity";
        return { outcome: "CLAIM" };
      },
    ],
    [
      "another version",
      (body, random) => {
        body.version = 2 + random(9);
        return { outcome: "UNSUPPORTED" };
      },
    ],
    [
      "another arithmetic",
      (body) => {
        body.arithmetic["format"] = "binary64";
        return { outcome: "UNSUPPORTED" };
      },
    ],
    [
      "another format",
      (body) => {
        body.format = "certificates";
        return { outcome: "CORRUPT" };
      },
    ],
    [
      "a field that there is not",
      (body, random) => {
        Object.assign([body, body.model, body.layers[0], body.certificates[0]][random(4)] as object, { valid: true });
        return { outcome: "CORRUPT" };
      },
    ],
    [
      "a negative radius",
      (body, random) => {
        (body.certificates[random(4)] as Body["certificates"][number]).radius = -1;
        return { outcome: "CORRUPT" };
      },
    ],
    [
      "a text in the place of a radius",
      (body, random) => {
        (body.certificates[random(4)] as Body["certificates"][number]).radius =
          ["NaN", "-Infinity", "1", ""][random(4)] ?? "";
        return { outcome: "CORRUPT" };
      },
    ],
    [
      "a hash that is none",
      (body) => {
        body.model.sha256 = body.model.sha256.toUpperCase();
        return { outcome: "CORRUPT" };
      },
    ],
  ];

  it("of what a file claims, with its hash made anew, end as what they are", async () => {
    const random = seeded(2);
    for (let i = 0; i < 70; i++) {
      const [name, change] = changes[i % changes.length] as (typeof changes)[number];
      const copy = structuredClone(body);
      const expected = change(copy, random);
      const found = await outcomeOf({ file: sealed(canonical(copy)) });
      expect(found, `${name}: ${found.message}`).toMatchObject(expected);
    }
  });

  it("of its text, with its hash made anew, are never more than what is proved", async () => {
    const random = seeded(3);
    const text = Buffer.from(canonical(body));
    for (let i = 0; i < 60; i++) {
      const file = sealed(Buffer.from(damaged(text, random)).toString("latin1"));
      const found = await outcomeOf({ file });
      if (found.outcome !== "VERIFIED") continue;
      const changed = JSON.parse(Buffer.from(file).toString()).certificate as Body;
      changed.certificates.forEach(({ predicted, radius }, at) => {
        expect(predicted).toBe(body.certificates[at]?.predicted);
        expect(Number(radius)).toBeLessThanOrEqual((honest.proved[at] ?? 0) * (1 + 1e-9));
      });
    }
  });

  it("of its form are told, and hostile ones neither crash nor hang", async () => {
    const text = canonical(body);
    const whole = Buffer.from(bytes.file).toString();
    for (const file of [
      "",
      "null",
      "[]",
      "{}",
      "[".repeat(1e6),
      `{"a":`.repeat(1e5),
      whole.replace("{", "{ "),
      `${whole}\n`,
      whole.replace(`"sha256":`, `"sha256":"","sha256":`),
      whole.slice(0, -1),
      sealed(text.replace(`"version":1`, `"version":1,"version":1`)),
      sealed(text.replace(`"version":1`, `"version":1.0`)),
      sealed(text.replace(`"version":1`, `"version":-1`)),
      sealed(text.replace(/"radius":[^}]*/, `"radius":1e999`)),
      sealed(text.replace(/"radius":[^}]*/, `"radius":NaN`)),
      sealed(text.replace(/"shape":\[[^\]]*\]/, `"shape":[-1]`)),
      sealed(text.replace(/"certificates":\[.*?\]/, `"certificates":${"[".repeat(1e5)}`)),
      "\ud800",
      Buffer.from([0xff, 0xfe, 0]),
    ]) {
      const found = await outcomeOf({ file: typeof file === "string" ? Buffer.from(file) : file });
      expect(found.outcome).toBe("CORRUPT");
      expect(found.message.length).toBeLessThan(500);
    }
    const huge = sealed(text.replace(/"shape":\[[^\]]*\]/, `"shape":[4294967296,4294967296]`));
    expect((await outcomeOf({ file: huge })).outcome).toBe("INPUT");
  });

  it("of a model with its hash made anew are not proved, or are as right", async () => {
    const random = seeded(4);
    for (let i = 0; i < 40; i++) {
      const model = damaged(bytes.model, random);
      const copy = { ...body, model: { bytes: model.length, sha256: sha256(model) } };
      const found = await outcomeOf({ file: sealed(canonical(copy)), model });
      // A weight that is another by so little that the claims still hold, or a text that nothing is read from.
      if (found.outcome === "VERIFIED") expect(found.proved).toHaveLength(4);
      else expect(["MODEL", "CLAIM", "UNSUPPORTED"]).toContain(found.outcome);
    }
  });
});

describe("right certificates are saved and verified", () => {
  const roundTrip = async (model: Module, inputs: Tensor): Promise<void> => {
    const exported = model.vanillaExport();
    const certificates = await certify(exported, inputs);
    const path = join(folder, "right.json");
    await saveCertificates(path, { model: exported, inputs, certificates });
    const { outcome, proved } = await verifyCertificates(path, { model: exported, inputs });
    expect(outcome).toBe("VERIFIED");
    certificates.forEach(({ radius }, i) => {
      expect(proved[i]).toBeGreaterThan(0.98 * radius);
    });
  };

  it.each([0, 2, 6, 20])("of residual blocks whose alpha is %d", async (alpha) => {
    manualSeed(4);
    const block = () => new LipResidual(new Sequential([new SpectralLinear(8, 8), new GroupSort2()]));
    const model = new Sequential([block(), block(), block(), block(), new SpectralLinear(8, 3)]);
    for (const parameter of model.parameters()) if (parameter.shape.length === 0) parameter.assign(tensor([alpha], []));
    await roundTrip(model, randn([4, 8], { seed: 5 }));
  });

  it("of reflections", async () => {
    manualSeed(5);
    const block = () => [new SpectralLinear(4, 4), new HouseHolder(4)];
    const model = new Sequential([...block(), ...block(), ...block(), ...block(), new SpectralLinear(4, 3)]);
    await roundTrip(model, randn([6, 4], { seed: 6 }));
  });

  it.each([
    ["Identity", () => new Identity()],
    ["GroupSort2", () => new GroupSort2()],
    ["ReLU", () => new ReLU()],
  ])("of %s alone, where nothing rounds", async (_, make) => {
    await roundTrip(new Sequential([make()]), randn([20, 6], { seed: 7 }));
  });
});

it("a share of a residual block that float32 takes for 0 is not verified", async () => {
  const nothing = new ScaleBiasLayer(1, 1, { bias: false }, { scalar: tensor([0], []), bias: undefined } as never);
  const alpha = tensor([-87.5], []);
  const share = 1e6 / (1 + Math.exp(87.5));
  const last = { weight: tensor([1 / share, 0, 0, 1 / share], [2, 2]), bias: tensor([0, 1], [2]) };
  const model = new Sequential(
    [new LipResidual(nothing, { kCoefLip: 1e6, constrained: false }, { alpha }), new Linear(2, 2, {}, last)],
    { constrained: false },
  );
  const claim = { predicted: 0, radius: 1, kind: "generic" } as unknown as Certificate;
  const saved = saveCertificates(join(folder, "share.json"), {
    model,
    inputs: tensor([1000, 0], [1, 2]),
    certificates: [claim],
  });
  await expect(saved).rejects.toMatchObject({ code: "UNSUPPORTED" });
});

it("numbers are written as JSON.stringify writes them, ties of two shortest texts too", async () => {
  const model = new Sequential(
    [new Linear(2, 2, {}, { weight: tensor([1, 0, 0, 1], [2, 2]), bias: tensor([0, 0], [2]) })],
    {
      constrained: false,
    },
  );
  const count = 2000;
  const radii = Array.from({ length: count }, (_, i) => Math.fround(Math.exp((i % 37) - 18) * (1 + i / count)));
  const inputs = tensor(Float32Array.from(radii.flatMap((radius) => [4 * radius, 0])), [count, 2]);
  const certificates = radii.map((radius) => ({ predicted: 0, radius, kind: "generic" }) as unknown as Certificate);
  const path = join(folder, "ties.json");
  await saveCertificates(path, { model, inputs, certificates });
  const text = await readFile(path, "utf8");
  const written = [...text.matchAll(/"radius":([^}]*)\}/g)].map(([, number]) => number);
  expect(written).toEqual(radii.map((radius) => JSON.stringify(radius)));
});
