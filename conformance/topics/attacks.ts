// Attacks on the shrunk network, whose weights, images and labels a case of its own holds.
import { type AttackOptions, type AttackResult, type Module, type Sequential, scalar, type Tensor } from "tslip";
import type { Case } from "../case.js";
import type { Answer } from "../compare.js";
import { floats, input, integers, list, numbersOf, withGradients } from "../compute.js";
import { loadWeights, ordinaryNetwork, sizesOf } from "../network.js";
import { camelOptions, exportedClass } from "../options.js";

interface Attack {
  run(model: Module, images: Tensor, labels: ArrayLike<number>, options: AttackOptions): Promise<AttackResult>;
  run(
    model: Module,
    images: Tensor,
    labels: ArrayLike<number>,
    options: AttackOptions & { epsilons: readonly number[] },
  ): Promise<AttackResult[]>;
}

export async function attacks(c: Case, all: readonly Case[]): Promise<Answer> {
  const isNetwork = c.name.endsWith("_network");
  const owner = isNetwork ? c : all.find(({ name }) => name === c.config["network"]);
  if (owner === undefined) throw new Error(`there is no case ${String(c.config["network"])} with the network`);
  const kind = c.name.slice(owner.name.length - "network".length).replace(/_.*/, "");
  const AttackClass = exportedClass<Attack>(kind);
  const isObjective = c.name.endsWith("_cw_objective");
  if (AttackClass === undefined && !isNetwork && !isObjective) return { skipped: kind };
  const model = ordinaryNetwork(sizesOf(owner), true);
  loadWeights(model, owner, "weight");
  const images = floats(input(owner, "x"));
  if (isObjective) return await objective(c, model, images, integers(input(owner, "labels")));
  if (AttackClass === undefined) return { outputs: { logits: await numbersOf(await model.predict(images)) } };
  const attack = new AttackClass(camelOptions(c.config, ["network", "bounds", "epsilon"]));
  const { success, distances, clipped } = await attackOnce(attack, model, images, owner, c.config);
  if (c.config["epsilon"] !== undefined) {
    const labels = integers(input(owner, "labels"));
    const right = (await model.predict(images)).argmax(1).equal(labels);
    return await withinEpsilon(c, { success, clipped, images, right: [...(await right.data())].map(Boolean) });
  }
  const more = beyondReference(c, all, distances);
  return {
    outputs: {
      success: list(success.map((found, i) => Number(found && !more[i]))),
      // The file says NaN where nothing was found.
      distance: list(distances.map((d, i) => (d === Number.POSITIVE_INFINITY || more[i] ? Number.NaN : d))),
      adversarial: await numbersOf(clipped),
    },
  };
}

/**
 * A result within an epsilon, with the L2 distances that the file has for attacks in other norms too. Of images for which nothing is
 * found or that are misclassified already foolbox gives its last iterate, and tslip the image itself.
 */
async function withinEpsilon(
  c: Case,
  { success, clipped, images, right }: { success: boolean[]; clipped: Tensor; images: Tensor; right: boolean[] },
): Promise<Answer> {
  const [adversarial, original] = [await numbersOf(clipped), await numbersOf(images)];
  const size = original.data.length / right.length;
  const distance = Array.from(await clipped.sub(images).flatten(1).square().sum(1).sqrt().data());
  const failures: string[] = [];
  const theirs = (key: string, k: number): number => c.outputs[key]?.data[k] ?? Number.NaN;
  for (const [i, classified] of right.entries()) {
    if (success[i] && classified) continue;
    for (let k = i * size; k < (i + 1) * size; k++) {
      if (adversarial.data[k] !== original.data[k]) failures.push(`image ${i} is not the original, at value ${k}`);
      adversarial.data[k] = theirs("adversarial", k);
    }
    distance[i] = theirs("distance", i);
  }
  const outputs = { success: list(success.map(Number)), distance: list(distance), adversarial };
  return { outputs, failures };
}

/**
 * Where an attack found something within the distances of the other attacks on its network, and the reference, which has a defect,
 * nothing: that is right as well.
 */
function beyondReference(c: Case, all: readonly Case[], distances: Float64Array): boolean[] {
  const isPeer = (other: Case): boolean =>
    other.config["network"] === c.config["network"] && other.config["epsilon"] === undefined;
  const others = all.filter(isPeer).map(({ outputs }) => outputs["distance"]?.data);
  return Array.from(distances, (distance, i) => {
    const found = others.map((data) => data?.[i] ?? Number.NaN).filter(Number.isFinite);
    const isFailure = c.outputs["success"]?.data[i] === 0;
    return c.referenceDefect && isFailure && distance <= Math.max(...found) * (1 + c.rtol);
  });
}

/** The result of an attack, for the configuration's epsilon where it has one. */
async function attackOnce(
  attack: Attack,
  model: Module,
  images: Tensor,
  owner: Case,
  config: Case["config"],
): Promise<AttackResult> {
  const [low = 0, high = 1] = config["bounds"] as number[];
  const labels = Int32Array.from(input(owner, "labels").data);
  const bounds = [low, high] as const;
  if (config["epsilon"] === undefined) return await attack.run(model, images, labels, { bounds });
  const [result] = await attack.run(model, images, labels, { bounds, epsilons: [Number(config["epsilon"])] });
  if (result === undefined) throw new Error("the attack returned no result for its epsilon");
  return result;
}

/**
 * What Carlini and Wagner minimize, at a given perturbation, out of the public tensor operations: their values and
 * gradients through the network are compared here, the attack itself by what it finds.
 */
async function objective(c: Case, model: Sequential, images: Tensor, labels: Tensor): Promise<Answer> {
  const weights = floats(input(c, "const"));
  const inModel = (w: Tensor): Tensor => w.tanh().mul(0.5).add(0.5);
  return await withGradients("loss", { delta: input(c, "delta") }, undefined, (leaf) => {
    const before = images.sub(0.5).div(0.5).mul(Number(c.config["scale"])).atanh();
    const moved = inModel(before.add(leaf("delta")));
    const logits = model.forward(moved);
    const own = labels.oneHot(logits.shape[1] ?? 0);
    const other = own.greater(0).where(scalar(Number.NEGATIVE_INFINITY), logits).max(1);
    const lead = logits.mul(own).sum(1).sub(other).relu().mul(weights).sum();
    return lead.add(moved.sub(inModel(before)).square().sum());
  });
}
