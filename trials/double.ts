// Double-double numbers: unevaluated sums of two float64, some 106 bits, with which a float32 network is computed as good as exactly.

/** 2^27 + 1: by it a float64 is split into two halves whose products are exact (Veltkamp; Dekker 1971). */
const SPLITTER = 2 ** 27 + 1;
/** log(2) in two parts. */
const LN2 = [Math.LN2, 2.3190468138462996e-17] as const;
/** exp(x) is exp(x / 2^9) squared so often; of the small one these many terms are left. */
const SQUARINGS = 9;
const EXP_TERMS = 10;
/** Beyond these exp is Infinity or 0 for every use that float32 can make of it; within, products of it can be split. */
const EXP_LIMIT = 500;
/** Below this tanh is its series. */
const TANH_SMALL = 2 ** -10;
/** Of x^(2 k + 1). */
const TANH_SERIES = [
  [-1, 3],
  [2, 15],
  [-17, 315],
  [62, 2835],
] as const;

/** A number that operations change: `hi + lo`, of which `hi` is the nearest float64. Each loses some 2^-104 of its result, functions 2^-90. */
export class Double {
  hi = 0;
  lo = 0;

  set(hi: number, lo = 0): this {
    this.hi = hi;
    this.lo = lo;
    return this;
  }

  /** Knuth's sums of both parts, exact but for the last rounding. */
  add(hi: number, lo = 0): this {
    const s = this.hi + hi;
    if (!Number.isFinite(s)) return this.set(s);
    const from = s - this.hi;
    let e = this.hi - (s - from) + (hi - from);
    const t = this.lo + lo;
    const small = t - this.lo;
    const rest = this.lo - (t - small) + (lo - small);
    e += t;
    const h = s + e;
    return this.normal(h, e - (h - s) + rest);
  }

  multiply(hi: number, lo = 0): this {
    const p = this.hi * hi;
    const e = lowOfProduct(this.hi, hi, p) + (this.hi * lo + this.lo * hi);
    return this.normal(p, e);
  }

  /** Three quotients of what is left each time. */
  divide(hi: number, lo = 0): this {
    const first = this.hi / hi;
    if (!Number.isFinite(first) || !Number.isFinite(hi)) return this.set(first);
    const rest = new Double().set(this.hi, this.lo);
    rest.addProduct(-first, 0, hi, lo);
    const second = rest.hi / hi;
    rest.addProduct(-second, 0, hi, lo);
    return this.set(first)
      .add(second)
      .add(rest.hi / hi);
  }

  /** Adds a product, which is exact for factors of float32. */
  addProduct(aHi: number, aLo: number, bHi: number, bLo: number): this {
    const p = aHi * bHi;
    return this.add(p, lowOfProduct(aHi, bHi, p) + (aHi * bLo + aLo * bHi));
  }

  /** A step of Newton's method from the root of the upper part. */
  root(): this {
    if (!(this.hi > 0)) return this.set(Math.sqrt(this.hi));
    const near = Math.sqrt(this.hi);
    const rest = new Double().set(this.hi, this.lo).addProduct(-near, 0, near, 0);
    return this.set(near).add(rest.hi / (2 * near));
  }

  exp(): this {
    if (Number.isNaN(this.hi)) return this;
    if (this.hi > EXP_LIMIT) return this.set(Number.POSITIVE_INFINITY);
    if (this.hi < -EXP_LIMIT) return this.set(0);
    const k = Math.round(this.hi / LN2[0]);
    this.addProduct(-k, 0, LN2[0], LN2[1]);
    const [small, scale] = [new Double().set(this.hi, this.lo), 2 ** -SQUARINGS];
    small.set(small.hi * scale, small.lo * scale);
    this.set(1);
    for (let n = EXP_TERMS; n >= 1; n--) this.multiply(small.hi, small.lo).divide(n).add(1);
    for (let i = 0; i < SQUARINGS; i++) this.multiply(this.hi, this.lo);
    return this.set(this.hi * 2 ** k, this.lo * 2 ** k);
  }

  /** 1 / (1 + exp(-x)). */
  sigmoid(): this {
    const power = new Double().set(-this.hi, -this.lo).exp().add(1);
    return this.set(1).divide(power.hi, power.lo);
  }

  tanh(): this {
    const x = new Double().set(this.hi, this.lo);
    if (Math.abs(x.hi) < TANH_SMALL) {
      const square = new Double().set(x.hi, x.lo).multiply(x.hi, x.lo);
      this.set(0);
      for (const [p, q] of TANH_SERIES.toReversed()) {
        const term = new Double().set(p).divide(q);
        this.add(term.hi, term.lo).multiply(square.hi, square.lo);
      }
      return this.add(1).multiply(x.hi, x.lo);
    }
    // (1 - exp(-2 |x|)) / (1 + exp(-2 |x|)), with the sign of x.
    const sign = Math.sign(x.hi);
    const power = new Double().set(-2 * sign * x.hi, -2 * sign * x.lo).exp();
    const below = new Double().set(power.hi, power.lo).add(1);
    this.set(1).add(-power.hi, -power.lo).divide(below.hi, below.lo);
    return this.set(sign * this.hi, sign * this.lo);
  }

  floor(): this {
    const whole = Math.floor(this.hi);
    const below = whole === this.hi ? Math.floor(this.lo) : 0;
    return this.set(whole).add(below);
  }

  /** Whether it is less than another number. */
  less(hi: number, lo = 0): boolean {
    return this.hi < hi || (this.hi === hi && this.lo < lo);
  }

  private normal(hi: number, lo: number): this {
    const sum = hi + lo;
    this.hi = sum;
    // Infinities have no rest.
    this.lo = Number.isFinite(sum) ? lo - (sum - hi) : 0;
    return this;
  }
}

/** What the rounded product p of a and b lacks. */
function lowOfProduct(a: number, b: number, p: number): number {
  if (!Number.isFinite(p)) return 0;
  const [s, t] = [SPLITTER * a, SPLITTER * b];
  const [aHigh, bHigh] = [s - (s - a), t - (t - b)];
  const [aLow, bLow] = [a - aHigh, b - bHigh];
  return aHigh * bHigh - p + aHigh * bLow + aLow * bHigh + aLow * bLow;
}

/** Many of them. */
export class Doubles {
  readonly hi: Float64Array;
  readonly lo: Float64Array;

  constructor(readonly length: number) {
    this.hi = new Float64Array(length);
    this.lo = new Float64Array(length);
  }

  static of(values: ArrayLike<number>): Doubles {
    const all = new Doubles(values.length);
    all.hi.set(values);
    return all;
  }

  put(at: number, { hi, lo }: Double): void {
    this.hi[at] = hi;
    this.lo[at] = lo;
  }
}

/** The square of the distance of two lists of float32, which is exact to some 2^-100 of itself. */
export function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>, into = new Double()): Double {
  into.set(0);
  const difference = new Double();
  for (let i = 0; i < a.length; i++) {
    difference.set(a[i] as number).add(-(b[i] as number));
    into.addProduct(difference.hi, difference.lo, difference.hi, difference.lo);
  }
  return into;
}
