// An HTTP endpoint: POST /classify with an image's bytes as its body answers { class, radius }, the class with its certificate.
// With --train the network goes on learning in the same process, and what is served is exchanged every few seconds.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Command, InvalidArgumentError } from "commander";
import {
  Adam,
  accuracy,
  certify,
  datasets,
  Flatten,
  fit,
  GroupSort2,
  HKRMulticlassLoss,
  loadModel,
  type Module,
  manualSeed,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  TslipError,
  tensor,
  zeros,
} from "tslip";

interface Options {
  port: number;
  model?: string;
  data?: string;
  train: boolean;
  batch: number;
}

function whole(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

const options = new Command("serve")
  .description("Classifies images of 28x28 grey pixels (784 bytes each) over HTTP, with a certificate for each answer.")
  .option("--port <n>", "where to listen; 0 for any free port", whole, 8080)
  .option("--model <file>", "a network that saveModel wrote; by default a new one")
  .option("--data <dir>", "folder of the four Fashion-MNIST files")
  .option("--train", "train the network meanwhile", false)
  .option("--batch <n>", "batch size of that training", whole, 256)
  .allowExcessArguments(false)
  .parse()
  .opts<Options>();

const PIXELS = 28 * 28;
/** Milliseconds, at least. */
const EXCHANGE_EVERY = 3000;

function network(): Module {
  manualSeed(0);
  const pool = () => new ScaledL2NormPool2d({ kernelSize: 2 });
  return new Sequential([
    new SpectralConv2d(1, 16, { kernelSize: 3, padding: "same" }),
    new GroupSort2(),
    pool(),
    new SpectralConv2d(16, 32, { kernelSize: 3, padding: "same" }),
    new GroupSort2(),
    pool(),
    new Flatten(),
    new SpectralLinear(1568, 64),
    new GroupSort2(),
    new SpectralLinear(64, 10, { bias: false }),
  ]);
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    // What is longer than an image is not kept.
    if (length <= PIXELS) chunks.push(chunk);
  }
  if (length !== PIXELS) throw new TslipError("SHAPE_MISMATCH", `an image has ${PIXELS} bytes; given ${length}`);
  return Buffer.concat(chunks);
}

function answer(response: ServerResponse, status: number, content: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(content));
}

async function classify(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "POST" || request.url !== "/classify") {
    request.resume();
    return answer(response, 404, { error: "POST an image to /classify" });
  }
  try {
    const image = tensor(await bodyOf(request), [1, 1, 28, 28]);
    const [certificate] = await certify(served, image);
    answer(response, 200, { class: certificate?.predicted, radius: certificate?.radius });
  } catch (error) {
    if (!(error instanceof TslipError)) throw error;
    answer(response, error.code === "INTERNAL" ? 500 : 400, { error: error.message });
  }
}

const model = options.model === undefined ? network() : await loadModel(options.model);
/** An export: ordinary layers, whose bounds are proved once. */
let served = model.vanillaExport();
let exchanged = performance.now();

const server = createServer((request, response) => {
  classify(request, response).catch((error: unknown) => {
    // Whoever hangs up gets no answer.
    if (request.destroyed) return;
    console.error(error);
    if (!response.headersSent) answer(response, 500, { error: "internal error" });
    else response.destroy();
  });
});
const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    interrupt.abort();
    server.close();
    server.closeAllConnections();
  });
}
server.on("error", (error) => {
  console.error(`serve: ${error.message}`);
  process.exit(1);
});
server.listen(options.port, "127.0.0.1", () => {
  console.log(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}/classify`);
});

if (options.train) {
  const { train } = await datasets.fashionMnist(options.data === undefined ? {} : { dir: options.data });
  console.log("Training");
  try {
    await fit(model, train, {
      epochs: 1000,
      batchSize: options.batch,
      loss: new HKRMulticlassLoss({ alpha: 100, minMargin: 0.25 }),
      optimizer: new Adam({ lr: 1e-3 }),
      metrics: { acc: accuracy() },
      signal: interrupt.signal,
      verbose: false,
      callbacks: [
        {
          async onEpochEnd({ epoch, acc }) {
            console.log(`Epoch ${epoch}: accuracy ${acc.toFixed(3)} on what it learns from`);
            if (performance.now() - exchanged < EXCHANGE_EVERY) return;
            const next = model.vanillaExport();
            // Whoever asks first need not wait for the proof of its bounds.
            await certify(next, zeros([1, 1, 28, 28]));
            served = next;
            exchanged = performance.now();
          },
        },
      ],
    });
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
  }
}
