// What is known of single images: radii by each way of certifying beside the nearest adversarial that many attacks find.
import { type Certificate, certify, functional, standardSuite } from "tslip";
import { Unusable } from "../command.js";
import { markdown } from "../table.js";
import { spreadOf } from "../timing.js";
import { timedStep } from "./step.js";
import { refuseBeaten, type Subject } from "./subject.js";

/** A way of certifying. */
interface Way {
  readonly name: string;
  readonly radii: readonly number[];
  /** Whether it is a proof of what is computed in float32, and not a formula of exact arithmetic. */
  readonly proof: boolean;
}

/** Brackets of those of the first `count` test images that the network tells right. Throws `VIOLATION` where a proof is beaten. */
export async function bracketed({ name, model, network, test, signal }: Subject, count: number): Promise<string> {
  const first = test.batch(0, count);
  const classes = await network.classify(first.images);
  const right = Array.from(classes.keys()).filter((i) => classes[i] === first.labels[i]);
  if (right.length === 0) {
    throw new Unusable(`${name} tells none of the first ${count} test images right; give --images more, or --epochs`);
  }
  const { images, labels } = test.select(right);
  const radiiOf = (certificates: readonly Certificate[]): number[] => certificates.map(({ radius }) => radius);
  const logits = await network.predict(images);
  const formula = (lipschitz: number): number[] =>
    Array.from(functional.certificateRadius(logits, { kind: "generic", lipschitz }).radius);
  const generic = await certify(network, images, { head: "generic" });
  const pairwise = await certify(network, images, { head: "pairwise" });
  const local = await timedStep(`${name}, local certificates of ${right.length} images`, (told) =>
    certify(network, images, { effort: "local", signal, onProgress: told }),
  );
  const suite = await timedStep(`${name}, standardSuite on ${right.length} images`, (told) =>
    standardSuite(network, images, labels, { signal, onProgress: told }),
  );
  for (const { message } of suite.result.warnings) process.stderr.write(`${name}: ${message}\n`);
  const distances = suite.result.brackets.map(({ distance }) => distance);
  const { lipschitz = Number.NaN } = generic[0] ?? {};
  const ways: Way[] = [
    { name: `formula, declared L = ${model.kCoefLip}`, radii: formula(model.kCoefLip), proof: false },
    { name: `formula, proved L = ${lipschitz.toFixed(4)}`, radii: formula(lipschitz), proof: false },
    { name: "and with rounding counted", radii: radiiOf(generic), proof: true },
    { name: "and by rows of the last layer", radii: radiiOf(pairwise), proof: true },
    { name: "and local", radii: radiiOf(local.result), proof: true },
  ];
  for (const { name: way, radii } of ways.filter(({ proof }) => proof)) {
    radii.forEach((radius, i) =>
      refuseBeaten(`test image ${right[i]}, certified "${way}",`, radius, distances[i] ?? -1),
    );
  }
  const rows = ways.map(({ name: way, radii, proof }) => [
    way,
    mean(radii).toFixed(4),
    spreadOf(radii).median.toFixed(4),
    mean(radii.map((radius, i) => radius / (distances[i] ?? Number.NaN))).toFixed(3),
    // Of proofs none is, or the command would have ended.
    proof ? "" : String(radii.filter((radius, i) => radius > (distances[i] ?? Number.NaN)).length),
  ]);
  const nearest = ["nearest adversarial", mean(distances).toFixed(4), spreadOf(distances).median.toFixed(4), "1", ""];
  const seconds = `local certificates took ${local.seconds.toFixed(0)} s, the attacks ${suite.seconds.toFixed(0)} s`;
  return [
    `${name}: of the first ${first.labels.length} test images the ${right.length} that it tells right; ${seconds}`,
    markdown(["radius or distance", "mean", "median", "mean share of the distance", "beaten"], [...rows, nearest]),
  ].join("\n\n");
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
