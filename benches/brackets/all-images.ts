// All test images certified and attacked: what it takes, accuracies, and whether a certificate was beaten.
import {
  type Attack,
  type Bracket,
  DDNAttack,
  L2FMNAttack,
  L2PGD,
  type RobustAccuracy,
  robustAccuracy,
  type Search,
} from "tslip";
import { markdown } from "../table.js";
import { spreadOf } from "../timing.js";
import { timedStep } from "./step.js";
import type { Subject } from "./subject.js";

/** Where accuracies are told, and the one within which PGD searches. */
const RADII = [0.25, 0.5, 1];
const PGD_RADIUS = 0.5;
/** Images that are certified together. */
const CERTIFIED_AT_ONCE = 2000;

/** Seconds on two cores that it is claimed to take at most. */
const CLAIMED = { certify: 5, audit: 300 };

/** Certifies all test images from constants alone. */
export async function certified({ network, test, signal }: Subject): Promise<string> {
  const { result, seconds } = await timedStep(`certify ${test.length} images`, (told) =>
    robustAccuracy(network, test, RADII, { batchSize: CERTIFIED_AT_ONCE, signal, onProgress: told }),
  );
  const { clean, certified, meanRadius } = result;
  return markdown(
    ["images", "s", "claimed", "accuracy", ...RADII.map((r) => `certified at ${r}`), "mean radius"],
    [
      [
        String(test.length),
        seconds.toFixed(2),
        `below ${CLAIMED.certify}`,
        ...[clean, ...certified].map(percent),
        meanRadius.toFixed(4),
      ],
    ],
  );
}

/** PGD from a random start within one radius: `robustAccuracy` gives attacks none, and they would look for the nearest. */
class PGDWithin extends L2PGD {
  constructor(
    readonly radius: number,
    steps: number,
  ) {
    super({ steps, seed: 0 });
  }

  protected override search(search: Search): Promise<void> {
    return super.search({ ...search, radii: new Float64Array(search.task.count).fill(this.radius) });
  }
}

/** An attack on all test images, and the largest radius within which it looks, if there is one. */
interface Assault {
  readonly name: string;
  readonly attack: Attack;
  readonly within?: number;
}

const ASSAULTS = (): Assault[] => [
  { name: `L2PGD, 50 steps within ${PGD_RADIUS}`, attack: new PGDWithin(PGD_RADIUS, 50), within: PGD_RADIUS },
  { name: "DDNAttack, 100 steps", attack: new DDNAttack({ steps: 100 }) },
  { name: "L2FMNAttack, 100 steps", attack: new L2FMNAttack({ steps: 100 }) },
];

/** Attacks all test images with certificates held against what is found. Throws a `ViolationError` where one is beaten. */
export async function audited({ network, test, signal }: Subject): Promise<string> {
  const found: (Assault & { readonly accuracy: RobustAccuracy; readonly seconds: number })[] = [];
  for (const one of ASSAULTS()) {
    const { result, seconds } = await timedStep(one.name, (told) =>
      robustAccuracy(network, test, RADII, { attacks: [one.attack], signal, onProgress: told }),
    );
    found.push({ ...one, accuracy: result, seconds });
  }
  const [first] = found;
  const brackets = found.map(({ accuracy }) => accuracy.brackets);
  const nearest = nearestOf(brackets);
  const rows = [
    ...found.map(({ name, within, accuracy, seconds }) => [
      name,
      seconds.toFixed(1),
      "",
      ...RADII.map((r, i) => (within === undefined || within === r ? percent(accuracy.empirical?.[i]) : "")),
      within === undefined ? medianOf(accuracy.brackets) : "",
    ]),
    [
      "together",
      found.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(1),
      `below ${CLAIMED.audit}`,
      ...RADII.map((r) => percent(nearest.filter(({ distance }) => distance >= r).length / nearest.length)),
      medianOf(nearest),
    ],
    ["certificates", "", "", ...(first?.accuracy.certified.map(percent) ?? []), ""],
  ];
  const header = [`${test.length} images`, "s", "claimed", ...RADII.map((r) => `accuracy at ${r}`)];
  return markdown([...header, "median distance"], rows);
}

/** Of each image the nearest adversarial of several searches. */
function nearestOf(searches: readonly (readonly Bracket[])[]): Bracket[] {
  const [first = [], ...others] = searches;
  return first.map((bracket, i) =>
    others.reduce(
      (best, { [i]: other }) => (other !== undefined && other.distance < best.distance ? other : best),
      bracket,
    ),
  );
}

/** Of images that are told right. */
function medianOf(brackets: readonly Bracket[]): string {
  const right = brackets.filter(({ predicted, label }) => predicted === label);
  return spreadOf(right.map(({ distance }) => distance)).median.toFixed(4);
}

const percent = (share = Number.NaN): string => `${(100 * share).toFixed(1)} %`;
