// Trials of the certificates of one network: along each of many directions the nearest point of another class, as near as float32 allows,
// and the furthest point that a certificate speaks of.
import { type CertifyOptions, certify, compile, functional, grad, Linear, type Tensor, tensor } from "tslip";
import { Double, type Doubles, squaredDistance } from "./double.js";
import { type Draw, moved } from "./draw.js";
import { type ExactNetwork, exactNetwork } from "./exact.js";
import type { Subject } from "./networks.js";

/** Directions in which each image is moved, of the sorts that `aim` has, and as many again that are gradients where those have led. */
const DIRECTIONS = 16;
/** Multiples of a radius at which another class is looked for. */
const MULTIPLES = [1 + 2 ** -22, 1 + 2 ** -10, 1.1, 2, 6, 40, 1000];
/** Halvings of the way between two classes, at most. */
const HALVINGS = 34;
/** Times that points of another class are moved by single units in the last place, to be nearer. */
const NUDGES = 6;
/** The radius in whose multiples another class is looked for where that of a certificate has no end. */
const UNLIMITED = 1e30;
/** Grey levels in the unit of radii. */
const GREY_LEVELS = 255;

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Radii of the images of a network, by one way of certifying. */
export interface Claim {
  readonly name: string;
  readonly radii: ArrayLike<number>;
}

/** What is claimed of a network. */
export interface Claims {
  readonly predicted: ArrayLike<number>;
  readonly claims: readonly Claim[];
}

/** Ways of certifying: a further one is one more line. */
const WAYS: readonly { readonly name: string; readonly options: CertifyOptions; readonly linear?: true }[] = [
  { name: "generic", options: { head: "generic" } },
  { name: "pairwise", options: { head: "pairwise" }, linear: true },
  { name: "disjoint", options: { head: "disjoint" }, linear: true },
  { name: "auto", options: { head: "auto" } },
  { name: "local", options: { effort: "local" } },
];

/** What `certify` claims of a network. */
export async function claimsOf({ model, body, images, sample }: Subject): Promise<Claims> {
  const x = tensor(images, [images.length / sizeOf(sample), ...sample]);
  const ways = WAYS.filter(({ linear }) => linear === undefined || body !== undefined);
  const claims: Claim[] = [];
  let predicted: number[] = [];
  for (const { name, options } of ways) {
    const certificates = await certify(model, x, options);
    predicted = certificates.map((one) => one.predicted);
    claims.push({ name, radii: certificates.map(({ radius }) => radius) });
  }
  return { predicted, claims };
}

/** What the formulas say that take float32 for exact: wrong claims, which trials have to find. */
export async function claimsWithoutRounding({ model, body, images, sample }: Subject): Promise<Claims> {
  const x = tensor(images, [images.length / sizeOf(sample), ...sample]);
  const certificates = await certify(model, x);
  const claims: Claim[] = [
    { name: "generic", radii: certificates.map(({ margin, lipschitz }) => margin / (Math.SQRT2 * lipschitz)) },
  ];
  const last = model.layers.at(-1);
  if (body !== undefined && last instanceof Linear) {
    const { weight, inFeatures, outFeatures } = last;
    const head = { data: weight.dataSync(), shape: [outFeatures, inFeatures] as const };
    const lipschitz = await body.lipschitzBound();
    const logits = await model.predict(x);
    if (lipschitz > 0) {
      const { radius } = functional.certificateRadius(logits, { kind: "pairwise", lipschitz, head });
      claims.push({ name: "pairwise", radii: radius });
    }
  }
  return { predicted: certificates.map(({ predicted }) => predicted), claims };
}

/** What is wrong with a claim. */
export interface Violation {
  readonly claim: string;
  /** By which computation of the network another class is within the radius. */
  readonly computed: "float32" | "exact";
  readonly radius: number;
  readonly distance: number;
  readonly predicted: number;
  readonly found: number;
  readonly image: readonly number[];
  readonly perturbed: readonly number[];
}

/** What trials of a network have come to. */
export interface Outcome {
  /** Pairs of an image of a radius above 0 and a direction. */
  readonly trials: number;
  readonly violations: readonly Violation[];
  /** The shortest distance at which another class was found, in radii; Infinity where none was. */
  readonly closest: number;
}

/** Tries the claims of a network. Each trial counts one violation at most of each computation. */
export async function tried(subject: Subject, claimed: Claims, draw: Draw): Promise<Outcome> {
  const { claims, predicted } = claimed;
  const radii = Array.from(predicted, (_, i) =>
    claims.reduce((largest, claim) => Math.max(largest, claim.radii[i] ?? 0), 0),
  );
  const certified = radii.flatMap((radius, i) => (radius > 0 ? [i] : []));
  if (certified.length === 0) return { trials: 0, violations: [], closest: Number.POSITIVE_INFINITY };
  const rays = new Rays(subject, claimed, certified, radii);
  const exact = exactNetwork(subject.model, subject.sample, rays.dtype);
  await rays.aim(draw);
  const first = await rays.followed(draw, exact);
  // Where the way to another class is curved, its gradient there leads to a nearer one.
  await rays.aimByGradients();
  const second = await rays.followed(draw, exact);
  return { trials: 2 * rays.count, violations: [...first, ...second], closest: rays.closest };
}

/** Points of a trial, all of them values of float32 or bytes. */
type Points = Float32Array | Uint8Array;

/** Images with a direction each. */
class Rays {
  readonly count: number;
  /** The shortest distance at which another class was found so far, in radii. */
  closest = Number.POSITIVE_INFINITY;
  readonly #size: number;
  readonly #subject: Subject;
  readonly #claimed: Claims;
  /** Of each ray its image. */
  readonly #image: Int32Array;
  readonly #radii: Float64Array;
  readonly #classes: Int32Array;
  readonly #origins: Points;
  readonly #directions: Float64Array;
  /** Of another class, as near as has been found; the image itself where none has. */
  #beyond: Points;
  readonly #gradient: (x: Tensor, of: Tensor) => Promise<Tensor>;
  #logits: ArrayLike<number> = [];

  constructor(subject: Subject, claimed: Claims, certified: readonly number[], radii: readonly number[]) {
    const { images, sample, model } = subject;
    this.#subject = subject;
    this.#claimed = claimed;
    this.#size = sizeOf(sample);
    this.count = certified.length * DIRECTIONS;
    this.#image = Int32Array.from({ length: this.count }, (_, k) => certified[Math.floor(k / DIRECTIONS)] ?? 0);
    this.#radii = Float64Array.from(this.#image, (i) => radii[i] ?? 0);
    this.#classes = Int32Array.from(this.#image, (i) => claimed.predicted[i] ?? 0);
    this.#origins = this.#points((k, j) => images[(this.#image[k] ?? 0) * this.#size + j] ?? 0);
    this.#beyond = this.#origins.slice();
    this.#directions = new Float64Array(this.count * this.#size);
    this.#gradient = compile((x: Tensor, of: Tensor) => grad(model.forward(x).mul(of).sum(), [x])[0]);
  }

  get dtype(): "f32" | "u8" {
    return this.#origins instanceof Uint8Array ? "u8" : "f32";
  }

  /** Directions of all sorts: gradients of differences of logits, one number, all alike, random, towards other images. */
  async aim(draw: Draw): Promise<void> {
    const classes = await this.#classesAt(this.#origins);
    const width = this.#logits.length / this.count;
    const others = Int32Array.from(classes, (own, k) => {
      const logits = Array.from({ length: width }, (_, c) =>
        c === own ? Number.NEGATIVE_INFINITY : this.#logitOf(k, c),
      );
      // The runner-up first, then any.
      return k % 2 === 0 ? logits.indexOf(Math.max(...logits)) : draw.whole(0, width - 1);
    });
    const gradients = await this.#gradients(this.#origins, others);
    for (let k = 0; k < this.count; k++) {
      const one = draw.whole(0, this.#size - 1);
      const target = draw.whole(0, this.count - 1);
      const sign = draw.one([1, -1]);
      const times = (count: number, way: (j: number) => number) => new Array<typeof way>(count).fill(way);
      const ways = [
        ...times(6, (j) => gradients[k * this.#size + j] ?? 0),
        ...times(2, (j) => (j === one ? sign : 0)),
        ...times(3, () => draw.normal()),
        ...times(2, () => draw.one([1, -1])),
        ...times(3, (j) => this.#origin(target, j) - this.#origin(k, j)),
      ];
      this.#point(k, ways[k % ways.length] as (j: number) => number);
    }
  }

  /** Directions of the gradients at the points of another class that have been found. */
  async aimByGradients(): Promise<void> {
    const gradients = await this.#gradients(this.#beyond, await this.#classesAt(this.#beyond));
    for (let k = 0; k < this.count; k++) this.#point(k, (j) => gradients[k * this.#size + j] ?? 0);
  }

  /** Follows all rays to another class, and to the ends of their radii; what is found there that no claim allows. */
  async followed(draw: Draw, exact: ExactNetwork): Promise<Violation[]> {
    const near = new Float64Array(this.count);
    const far = new Float64Array(this.count).fill(Number.POSITIVE_INFINITY);
    for (const multiple of MULTIPLES) {
      const at = this.#radii.map((radius) => multiple * Math.min(radius, UNLIMITED));
      const changed = await this.#changed(this.#along(at));
      for (let k = 0; k < this.count; k++) {
        if (far[k] !== Number.POSITIVE_INFINITY) continue;
        if (changed[k]) far[k] = at[k] ?? 0;
        else near[k] = at[k] ?? 0;
      }
    }
    await this.#halve(near, far);
    const within = this.#along(near);
    const beyond = this.#along(far.map((t) => (t === Number.POSITIVE_INFINITY ? 0 : t)));
    await this.#nudge(beyond, draw);
    this.#beyond = beyond;
    const ends = this.#ends();
    const violations: Violation[] = [];
    const classes = await this.#classesAt(beyond);
    const looked: [Points, Int32Array][] = [[beyond, classes]];
    // The images themselves too, among others than those that they were certified with.
    for (const points of [this.#origins, ends, within]) looked.push([points, await this.#classesAt(points)]);
    for (let k = 0; k < this.count; k++) {
      if (classes[k] !== this.#classes[k]) {
        this.closest = Math.min(this.closest, this.#distance(k, beyond) / (this.#radii[k] ?? 0));
      }
      const first = (find: (points: Points, classes: Int32Array) => Violation | undefined): Violation[] => {
        for (const [points, classes] of looked) {
          const found = find(points, classes);
          if (found !== undefined) return [found];
        }
        return [];
      };
      violations.push(
        ...first((points, classes) => this.#violation(k, points, "float32", classes[k])),
        ...first((points) => this.#exactly(k, points, exact)),
      );
    }
    return violations;
  }

  /** Halves the ways between points that keep and points that change the class. */
  async #halve(near: Float64Array, far: Float64Array): Promise<void> {
    const sizes = Float64Array.from({ length: this.count }, (_, k) => this.#largest(k));
    for (let i = 0; i < HALVINGS; i++) {
      const open = far.some(
        (end, k) => end < Infinity && end - (near[k] ?? 0) > 2 ** -30 * end + 2 ** -28 * (sizes[k] ?? 0),
      );
      if (!open) return;
      const middle = far.map((end, k) => (end === Infinity ? 0 : ((near[k] ?? 0) + end) / 2));
      const changed = await this.#changed(this.#along(middle));
      for (let k = 0; k < this.count; k++) {
        if (far[k] === Infinity) continue;
        if (changed[k]) far[k] = middle[k] ?? 0;
        else near[k] = middle[k] ?? 0;
      }
    }
  }

  /** Moves points of another class by a unit in the last place of some of their numbers, mostly towards the image, where they stay of it. */
  async #nudge(points: Points, draw: Draw): Promise<void> {
    const [before, after] = [new Double(), new Double()];
    for (let i = 0; i < NUDGES; i++) {
      const nudged = points.slice();
      for (let at = 0; at < nudged.length; at++) {
        if (draw.chance(0.5)) continue;
        const [value, origin] = [points[at] as number, this.#origins[at] as number];
        const towards = draw.chance(0.8) ? Math.sign(origin - value) : draw.one([1, -1]);
        nudged[at] = this.dtype === "u8" ? Math.min(Math.max(value + towards, 0), GREY_LEVELS) : moved(value, towards);
      }
      const changed = await this.#changed(nudged);
      for (let k = 0; k < this.count; k++) {
        if (!changed[k]) continue;
        const [old, fresh] = [this.#slice(points, k), this.#slice(nudged, k)];
        squaredDistance(old, this.#slice(this.#origins, k), before);
        squaredDistance(fresh, this.#slice(this.#origins, k), after);
        if (after.less(before.hi, before.lo)) old.set(fresh);
      }
    }
  }

  /** The furthest points along the rays that are nearer than the radii. */
  #ends(): Points {
    const at = this.#radii.map((radius) => Math.min(radius, UNLIMITED));
    let ends = this.#along(at);
    let outside = Array.from(at, (_, k) => k);
    for (let less = 2 ** -24; less < 1; less *= 8) {
      outside = outside.filter((k) => !this.#isWithin(k, this.#slice(ends, k), this.#radii[k] ?? 0));
      if (outside.length === 0) return ends;
      for (const k of outside) at[k] = (1 - less) * (this.#radii[k] ?? 0);
      ends = this.#along(at);
    }
    // Nothing is nearer than the radius but the image.
    for (const k of outside) this.#slice(ends, k).set(this.#slice(this.#origins, k));
    return ends;
  }

  /** Another class than the one claimed, or as much of it, in exact arithmetic. */
  #exactly(k: number, points: Points, exact: ExactNetwork): Violation | undefined {
    const point = this.#slice(points, k);
    if (!this.#isWithin(k, point, this.#radii[k] ?? 0)) return undefined;
    return this.#violation(k, points, "exact", classOf(exact(point), this.#classes[k] ?? 0));
  }

  /** Where a point is of another class than is claimed: the first claim whose radius it is within. */
  #violation(k: number, points: Points, computed: "float32" | "exact", found = Number.NaN): Violation | undefined {
    if (found === this.#classes[k]) return undefined;
    const point = this.#slice(points, k);
    const broken = this.#claimed.claims.find(({ radii }) => this.#isWithin(k, point, radii[this.#image[k] ?? 0] ?? 0));
    if (broken === undefined) return undefined;
    const origin = this.#slice(this.#origins, k);
    return {
      claim: broken.name,
      computed,
      radius: broken.radii[this.#image[k] ?? 0] ?? 0,
      distance: this.#distance(k, points),
      predicted: this.#classes[k] ?? 0,
      found,
      image: Array.from(origin),
      perturbed: Array.from(point),
    };
  }

  /** How far a point is from its image, in the unit of radii. */
  #distance(k: number, points: Points): number {
    return squaredDistance(this.#slice(points, k), this.#slice(this.#origins, k)).root().hi / this.#unit;
  }

  /** Whether a point is nearer to its image than a radius, which is exact but for some 2^-100. */
  #isWithin(k: number, point: Points, radius: number): boolean {
    if (!(radius > 0)) return false;
    const limit = new Double().set(radius).multiply(this.#unit);
    limit.multiply(limit.hi, limit.lo);
    return squaredDistance(point, this.#slice(this.#origins, k)).less(limit.hi, limit.lo);
  }

  /** Numbers of a sample in a unit of radii. */
  get #unit(): number {
    return this.dtype === "u8" ? GREY_LEVELS : 1;
  }

  /** Of each ray the point at a distance, rounded to float32 or to bytes. */
  #along(distances: Float64Array): Points {
    const unit = this.#unit;
    return this.#points((k, j) => {
      const value = this.#origin(k, j) + (distances[k] ?? 0) * unit * (this.#directions[k * this.#size + j] ?? 0);
      if (unit === 1) return Math.min(Math.max(value, -FLOAT32_MAX), FLOAT32_MAX);
      return Math.min(Math.max(Math.round(value), 0), GREY_LEVELS);
    });
  }

  #points(value: (k: number, j: number) => number): Points {
    const length = this.count * this.#size;
    const points = this.#subject.images instanceof Uint8Array ? new Uint8Array(length) : new Float32Array(length);
    for (let k = 0; k < this.count; k++) {
      for (let j = 0; j < this.#size; j++) points[k * this.#size + j] = value(k, j);
    }
    return points;
  }

  #origin(k: number, j: number): number {
    return this.#origins[k * this.#size + j] ?? 0;
  }

  #largest(k: number): number {
    return Math.max(...this.#slice(this.#origins, k).map(Math.abs)) / this.#unit;
  }

  #slice(points: Points, k: number): Points {
    return points.subarray(k * this.#size, (k + 1) * this.#size);
  }

  #logitOf(k: number, c: number): number {
    return this.#logits[k * (this.#logits.length / this.count) + c] ?? Number.NaN;
  }

  async #changed(points: Points): Promise<boolean[]> {
    const classes = await this.#classesAt(points);
    return Array.from(classes, (one, k) => one !== this.#classes[k]);
  }

  /** The first class of the largest logit, as the engine computes them in float32; -1 where one is NaN. */
  async #classesAt(points: Points): Promise<Int32Array> {
    this.#logits = (await this.#subject.model.predict(this.#tensor(points))).held();
    const width = this.#logits.length / this.count;
    return Int32Array.from({ length: this.count }, (_, k) => {
      let best = 0;
      for (let c = 0; c < width; c++) {
        if (Number.isNaN(this.#logitOf(k, c))) return -1;
        if (this.#logitOf(k, c) > this.#logitOf(k, best)) best = c;
      }
      return best;
    });
  }

  #tensor(points: Points): Tensor {
    return tensor(points, [this.count, ...this.#subject.sample]);
  }

  /** Gradients of how far the logit of another class is above that of the own one. */
  async #gradients(points: Points, others: Int32Array): Promise<ArrayLike<number>> {
    const width = this.#logits.length / this.count;
    const of = new Float32Array(this.count * width);
    for (let k = 0; k < this.count; k++) {
      const [other, own] = [others[k] ?? -1, this.#classes[k] ?? 0];
      // Where nothing else was found, away from the own class.
      if (other >= 0 && other !== own) of[k * width + other] = 1;
      of[k * width + own] = -1;
    }
    const at = Float32Array.from(points, (value) => value / this.#unit);
    const x = tensor(at, [this.count, ...this.#subject.sample]);
    return (await this.#gradient(x, tensor(of, [this.count, width]))).dataSync();
  }

  /** Sets a direction, of norm 1; without one that is finite and not 0 it stays 0. */
  #point(k: number, value: (j: number) => number): void {
    const direction = this.#directions.subarray(k * this.#size, (k + 1) * this.#size);
    for (let j = 0; j < this.#size; j++) direction[j] = value(j);
    const length = Math.hypot(...direction);
    const scale = length > 0 && Number.isFinite(length) ? 1 / length : 0;
    for (let j = 0; j < this.#size; j++) direction[j] = scale === 0 ? 0 : (direction[j] ?? 0) / length;
  }
}

/** The largest finite float32. */
const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127;

/** A class whose logit is not below that of the one claimed; that one where there is none. */
function classOf(logits: Doubles, own: number): number {
  const least = new Double().set(logits.hi[own] ?? Number.NaN, logits.lo[own] ?? 0);
  for (let c = 0; c < logits.length; c++) {
    if (c !== own && !new Double().set(logits.hi[c] ?? 0, logits.lo[c] ?? 0).less(least.hi, least.lo)) return c;
  }
  return own;
}
