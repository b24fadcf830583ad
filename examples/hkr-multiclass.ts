// The notebook "HKR multiclass and fooling": train a 1-Lipschitz network, certify its predictions, attack it, draw both.
// By default the network trains in seconds; with --reference as in the notebook.
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import {
  Adam,
  accuracy,
  adversarialFigure,
  type Callback,
  certify,
  createProgress,
  type Dataset,
  type Device,
  datasets,
  Flatten,
  fit,
  formatRadius,
  GroupSort2,
  HKRMulticlassLoss,
  krMulticlass,
  L2CarliniWagnerAttack,
  type Module,
  manualSeed,
  OneCycleLR,
  ScaledL2NormPool2d,
  type Schedule,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  type StepFigures,
  TslipError,
  versions,
} from "tslip";

interface Options {
  reference: boolean;
  epochs?: number;
  device: Device;
  seed: number;
  data?: string;
  out: string;
  attackSteps: number;
}

const command = new Command("quickstart")
  .description("Trains, certifies and attacks the reference network on Fashion-MNIST.")
  .option("--reference", "train as the notebook: batches of 4096, Adam at 1e-4, 100 epochs", false)
  .option("--epochs <n>", "passes over the training set; by default so many that training takes seconds", positive)
  .option("--device <name>", "where to train: auto, cpu, gpu or gpu:N", "auto")
  .option("--seed <n>", "determines initial weights and the order of the samples", integer, 0)
  .option("--data <dir>", "folder of the four Fashion-MNIST files")
  .option("--out <dir>", "where the figure and summary.json go", "quickstart-out")
  .option("--attack-steps <n>", "steps of each of the attack's six searches", positive, 8000)
  .allowExcessArguments(false);

/** Images that the default training looks at: some 15 seconds on two cores. */
const IMAGES_SEEN = 300_000;
const CERTIFY_BATCH = 1000;

const interrupt = new AbortController();
const INTERRUPTED = 130;
process.on("SIGINT", () => {
  if (interrupt.signal.aborted) return;
  interrupt.abort();
  // A second Ctrl-C later on ends at once; one sent twice for the same key press does not.
  setTimeout(() => process.once("SIGINT", () => process.exit(INTERRUPTED)), 500).unref();
});

try {
  await main(command.parse().opts<Options>(), interrupt.signal);
} catch (error) {
  if (interrupt.signal.aborted) {
    process.stderr.write("\ninterrupted; nothing was written\n");
    process.exitCode = INTERRUPTED;
  } else if (error instanceof TslipError || (error instanceof Error && "code" in error)) {
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
  } else {
    throw error;
  }
}

async function main(options: Options, signal: AbortSignal): Promise<void> {
  const { device, seed, data, out, attackSteps } = options;
  manualSeed(seed);
  const { train, test } = await datasets.fashionMnist({ ...(data === undefined ? {} : { dir: data }), signal });
  const model = new Sequential(
    [
      new SpectralConv2d(1, 16, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      new ScaledL2NormPool2d({ kernelSize: 2 }),
      new SpectralConv2d(16, 32, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      new ScaledL2NormPool2d({ kernelSize: 2 }),
      new Flatten(),
      new SpectralLinear(1568, 64),
      new GroupSort2(),
      new SpectralLinear(64, 10, { bias: false }),
    ],
    { kCoefLip: 1 },
  );
  print(model.summary(train.shape));
  const recipe = options.reference ? notebook(options.epochs) : oneCycle(train.length, options.epochs);
  const figuresOfNotebook: Readonly<Record<string, number>>[] = [];
  const asNotebook: Callback = {
    onEpochEnd({ epoch }, _control, steps) {
      const figures = notebookFigures(steps);
      figuresOfNotebook.push({ epoch, ...figures });
      print(`as the notebook prints it: ${describeFigures(figures)}`);
    },
  };
  print(`\ntraining on ${train.length} images, validating on ${test.length}: ${recipe.description}\n`);

  const history = await fit(model, train, {
    ...recipe.fit,
    validation: test,
    loss: new HKRMulticlassLoss({ alpha: 100, minMargin: 0.25 }),
    metrics: { acc: accuracy(), KR: krMulticlass() },
    callbacks: options.reference ? [asNotebook] : [],
    seed,
    device,
    signal,
  });

  const vanilla = model.vanillaExport();
  print(`\nexported as an ordinary network\n\n${vanilla.summary(train.shape)}\n`);
  const certified = await certifyAll(vanilla, test, signal);
  print(
    `on all ${test.length} test images: accuracy ${certified.accuracy.toFixed(4)}, mean certified radius ` +
      `${formatRadius(certified.meanRadius)} (0 where the prediction is wrong)\n`,
  );
  const { images, labels } = await test.onePerClass(vanilla, { skipMissing: true });
  const missing = test.classNames.filter((_, label) => !labels.includes(label));
  if (missing.length > 0) print(`no image of ${missing.join(", ")} is well classified yet: left out; train longer\n`);
  signal.throwIfAborted();
  const certificates = await certify(vanilla, images);
  const attack = new L2CarliniWagnerAttack({ binarySearchSteps: 6, steps: attackSteps });
  const bar = createProgress({ label: "attack", total: 100, format: (share) => `${Math.floor(share)} %` });
  const { clipped, distances, success } = await attack
    .run(vanilla, images, labels, {
      bounds: [0, 1],
      signal,
      onProgress: (share, found) => bar.update(100 * share, `${found} of ${labels.length} fooled`),
    })
    .finally(() => bar.stop());

  signal.throwIfAborted();
  const table = Array.from(labels, (label, i) => ({
    class: label,
    certificate: certificates[i]?.radius ?? 0,
    distance: distances[i] ?? Number.POSITIVE_INFINITY,
    success: success[i] ?? false,
  }));
  print(drawTable(table, test.classNames));
  const beaten = table.filter(({ certificate, distance }) => distance < certificate);
  await mkdir(out, { recursive: true });
  const figure = join(out, "adversarial.png");
  const { classNames } = test;
  await adversarialFigure({ model: vanilla, images, adversarials: clipped, classNames, certificates, distances }).save(
    figure,
  );
  const records = history.epochs.map(({ imagesPerSecond: _, ...record }) => record);
  // Infinity is no JSON: the distance of a failed attack is written as null.
  await writeWhole(join(out, "summary.json"), {
    epochs: records,
    ...(options.reference ? { notebook: figuresOfNotebook } : {}),
    certified,
    table,
    device: history.device,
    seed,
    versions: versions(),
  });
  print(`\nfigure: ${figure}\nfigures: ${join(out, "summary.json")}`);
  if (beaten.length > 0)
    throw new TslipError("INTERNAL", `${beaten.length} certificates were beaten: please report this`);
}

interface Recipe {
  /** In words, for the log. */
  description: string;
  fit: { epochs: number; batchSize: number; optimizer: Adam; schedule?: Schedule };
}

/** The notebook's own training. */
function notebook(epochs = 100): Recipe {
  const [batchSize, lr] = [4096, 1e-4];
  return {
    description: `batches of ${batchSize}, Adam at ${lr}`,
    fit: { epochs, batchSize, optimizer: new Adam({ lr }) },
  };
}

/** Small batches and one cycle of a high learning rate: a twentieth of the notebook's images is enough. */
function oneCycle(images: number, epochs = Math.max(1, Math.round(IMAGES_SEEN / images))): Recipe {
  const [batchSize, maxLr] = [100, 0.01];
  const totalSteps = epochs * Math.ceil(images / batchSize);
  return {
    description: `batches of ${batchSize}, Adam in one cycle up to ${maxLr}`,
    fit: { epochs, batchSize, optimizer: new Adam({ lr: maxLr }), schedule: new OneCycleLR({ maxLr, totalSteps }) },
  };
}

/** What the notebook prints of an epoch's training: the loss of the last batch, metrics as means over batches, large or small. */
function notebookFigures(steps: StepFigures): Record<string, number> {
  const of = (name: string, values: Float64Array): number =>
    name === "loss" ? (values.at(-1) ?? Number.NaN) : values.reduce((sum, value) => sum + value, 0) / values.length;
  return Object.fromEntries(Object.entries(steps).map(([name, values]) => [name, of(name, values)]));
}

function describeFigures(figures: Readonly<Record<string, number>>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name}: ${value.toFixed(4)}`)
    .join(" - ");
}

/** Share of images that are well classified, and the mean of the certified radii, 0 where the prediction is wrong. */
async function certifyAll(
  model: Module,
  dataset: Dataset,
  signal: AbortSignal,
): Promise<{ images: number; accuracy: number; meanRadius: number }> {
  let [right, sum] = [0, 0];
  for (let batch = 0; batch * CERTIFY_BATCH < dataset.length; batch++) {
    signal.throwIfAborted();
    const { images, labels } = dataset.batch(batch, CERTIFY_BATCH);
    for (const [i, { predicted, radius }] of (await certify(model, images)).entries()) {
      if (predicted !== labels[i]) continue;
      right += 1;
      sum += radius;
    }
  }
  return { images: dataset.length, accuracy: right / dataset.length, meanRadius: sum / dataset.length };
}

function drawTable(
  rows: readonly { class: number; certificate: number; distance: number; success: boolean }[],
  names: readonly string[],
): string {
  const width = Math.max(...names.map((name) => name.length));
  const line = (...cells: string[]): string =>
    `${(cells[0] ?? "").padEnd(width + 3)}${cells
      .slice(1)
      .map((cell) => cell.padStart(13))
      .join("")}`;
  return [
    line("class", "certificate", "distance", "success"),
    ...rows.map((r) =>
      line(
        `${r.class} ${names[r.class] ?? ""}`,
        formatRadius(r.certificate),
        r.distance.toFixed(2),
        r.success ? "yes" : "no",
      ),
    ),
  ].join("\n");
}

async function writeWhole(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(value, null, 2)}\n`);
  await rename(temporary, path);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function integer(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError("expected an integer.");
  return value;
}

function positive(text: string): number {
  const value = integer(text);
  if (value < 1) throw new InvalidArgumentError("expected a positive integer.");
  return value;
}
