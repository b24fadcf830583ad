// node dist/benches/growth/worker.js AXIS: measures the points of an axis and prints a line of JSON for each.
import { inference, type Measured, randomData, randomImages, training } from "../measure.js";
import { type Repetitions, spreadOf } from "../timing.js";
import { POINTS } from "./points.js";

/** A point is measured for about as long as this. */
const MILLISECONDS = 600;
const LEAST = 7;
const MOST = 300;

for (const { axis, at, batch, network } of POINTS.filter((point) => point.axis === process.argv[2])) {
  const data = randomData(network, batch);
  const images = randomImages(network, batch);
  const vanilla = network.build().vanillaExport().eval();
  const step = (repetitions: Repetitions) => training(network.build(), data, { ...repetitions, batch, steps: 1 });
  const works = { training: step, inference: (repetitions: Repetitions) => inference(vanilla, images, repetitions) };
  for (const [work, measure] of Object.entries(works)) {
    const { times, flops } = await long(measure);
    process.stdout.write(`${JSON.stringify({ axis, at, work, ...spreadOf(times), flops })}\n`);
  }
}

/** As many repetitions as the time allows. */
async function long(measure: (repetitions: Repetitions) => Promise<Measured>): Promise<Measured> {
  const { median } = spreadOf((await measure({ repeats: 3, warmUp: 2 })).times);
  const repeats = Math.min(MOST, Math.max(LEAST, Math.round(MILLISECONDS / median)));
  return await measure({ repeats: repeats + 2, warmUp: 2 });
}
