// The attack of the notebook on its ten images, beside foolbox's where there is an interpreter that has it.
import { certify, formatRadius, L2CarliniWagnerAttack, type Module, type Tensor } from "tslip";
import { duel } from "../peers/duels.js";
import { type Answer, Foolbox, Ours, type Side } from "../peers/sides.js";
import { markdown } from "../table.js";
import { timedSilently, timedStep } from "./step.js";
import { refuseBeaten, type Subject } from "./subject.js";

/** Seconds on two cores that it is claimed to take at most, and how many times faster than foolbox it is at least. */
const CLAIMED = { seconds: 30, faster: 5 };
const NAME = "L2CarliniWagnerAttack";
const SEARCHES = 6;

/** How the attack runs. */
export interface CarliniWagnerOptions {
  /** Of each search. */
  readonly steps: number;
  /** An interpreter that has foolbox, which then attacks the same weights and images. */
  readonly python: string | undefined;
}

/** Attacks the first image of each class that is told right. Throws `VIOLATION` where a certificate is beaten. */
export async function carliniWagner(
  { network, test, signal }: Subject,
  { steps, python }: CarliniWagnerOptions,
): Promise<string> {
  const { images, labels } = await test.onePerClass(network, { skipMissing: true });
  const classes = Int32Array.from(labels);
  const names = Array.from(classes, (label) => test.classNames[label] ?? String(label));
  const certificates = await certify(network, images);
  const attack = duel(L2CarliniWagnerAttack, { binarySearchSteps: SEARCHES, steps }, 1);
  const run = (side: Side): Promise<Answer> => side.run(NAME, attack, classes.length);
  const label = `${NAME}, ${SEARCHES} x ${steps} steps, ${classes.length} images`;
  const { result: own } = await timedStep(label, (told) =>
    run(new Ours(network, images, classes, { signal, onProgress: told })),
  );
  certificates.forEach(({ radius }, i) => refuseBeaten(names[i] ?? "", radius, own.distances[i] ?? -1));
  const peer =
    python === undefined
      ? undefined
      : await withFoolbox({ python, network, images, classes, signal }, async (foolbox) => {
          return (await timedSilently(`foolbox, ${label}`, () => run(foolbox))).result;
        });
  const [ownSeconds, peerSeconds] = [own, peer].map((answer) => answer?.seconds[0] ?? Number.NaN) as [number, number];
  const faster = `tslip ${(peerSeconds / ownSeconds).toFixed(1)} times faster, at least ${CLAIMED.faster}`;
  const fooled = ({ distances }: Answer): string => `${distances.filter((d) => d >= 0).length} of ${classes.length}`;
  const times = [
    ["tslip", ownSeconds.toFixed(2), `below ${CLAIMED.seconds}`, fooled(own)],
    ...(peer === undefined ? [] : [["foolbox", peerSeconds.toFixed(2), faster, fooled(peer)]]),
  ];
  const answers = peer === undefined ? [own] : [own, peer];
  const distance = ({ distances }: Answer, i: number): string => {
    const found = distances[i] ?? -1;
    return found < 0 ? "none" : found.toFixed(4);
  };
  const rows = names.map((name, i) => [
    name,
    formatRadius(certificates[i]?.radius ?? 0),
    ...answers.map((answer) => distance(answer, i)),
  ]);
  const header = ["class", "certificate", "distance by tslip", "by foolbox"].slice(0, 2 + answers.length);
  return [markdown([label, "s", "claimed", "fooled"], times), markdown(header, rows)].join("\n\n");
}

/** What foolbox attacks, and what ends it. */
interface Peer {
  readonly python: string;
  readonly network: Module;
  readonly images: Tensor;
  readonly classes: Int32Array;
  readonly signal: AbortSignal;
}

/** Has foolbox do something in a process, which ends with it or with the signal. */
async function withFoolbox<T>(
  { python, network, images, classes, signal }: Peer,
  work: (foolbox: Foolbox) => Promise<T>,
) {
  const foolbox = await Foolbox.of(python, network, images, classes);
  const close = (): void => void foolbox.close();
  signal.addEventListener("abort", close);
  try {
    signal.throwIfAborted();
    return await work(foolbox);
  } finally {
    signal.removeEventListener("abort", close);
    await foolbox.close();
  }
}
