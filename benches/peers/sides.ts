// The two sides of a duel: tslip in this process, and foolbox in one of its own.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type AttackOptions, type Module, saveModel, type Tensor } from "tslip";
import { Unusable } from "../command.js";
import type { Duel } from "./duels.js";
import { SOURCES, tcmalloc } from "./python.js";

/** What one side says of a run: its seconds, and the distance of each image that was fooled, -1 of others. */
export interface Answer {
  seconds: number[];
  distances: number[];
}

export interface Side {
  run(name: string, duel: Duel, batch: number): Promise<Answer>;
}

export class Ours implements Side {
  constructor(
    readonly model: Module,
    readonly images: Tensor,
    readonly labels: Int32Array,
    /** Given to each attack. */
    readonly options: Pick<AttackOptions, "signal" | "onProgress"> = {},
  ) {}

  async run(_name: string, { attack, epsilon }: Duel, batch: number): Promise<Answer> {
    const x = this.images.slice([0, 0, 0, 0], [batch, 1, 28, 28]);
    const y = this.labels.subarray(0, batch);
    const started = performance.now();
    const result =
      epsilon === null
        ? await attack(x).run(this.model, x, y, this.options)
        : (await attack(x).run(this.model, x, y, { ...this.options, epsilons: [epsilon] }))[0];
    const seconds = [(performance.now() - started) / 1000];
    const { distances = new Float64Array(), success = [] } = result ?? {};
    return { seconds, distances: Array.from(distances, (distance, i) => (success[i] ? distance : -1)) };
  }
}

/** A process of attack_bench.py, which answers one request after another. */
export class Foolbox implements Side {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;
  readonly #folder: string;
  #complaint = "";

  /** Gives a process the weights that a reference network exports, images and their labels. */
  static async of(python: string, model: Module, images: Tensor, labels: Int32Array): Promise<Foolbox> {
    const folder = await mkdtemp(join(tmpdir(), "tslip-attacks-"));
    try {
      const at = (name: string): string => join(folder, name);
      await saveModel(model, at("weights.safetensors"));
      await writeFile(at("images"), (await images.data()) as Float32Array);
      await writeFile(at("labels"), labels);
      const files = ["--weights", at("weights.safetensors"), "--images", at("images"), "--labels", at("labels")];
      return new Foolbox(python, files, folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(python: string, options: readonly string[], folder: string) {
    this.#folder = folder;
    const preload = tcmalloc();
    const env = preload === undefined ? process.env : { ...process.env, LD_PRELOAD: preload };
    this.#process = spawn(python, [join(SOURCES, "attack_bench.py"), ...options], { env });
    this.#process.stdin.on("error", () => undefined);
    this.#process.stderr.on("data", (text) => {
      this.#complaint = `${this.#complaint}${text}`.slice(-2000);
    });
    this.#answers = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  async run(attack: string, { attack: make, options, epsilon }: Duel, batch: number): Promise<Answer> {
    const snake = Object.entries(options).map(([name, value]) => [
      name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`),
      value,
    ]);
    const request = { attack, norm: make().norm.name, options: Object.fromEntries(snake), epsilon, batch, runs: 1 };
    this.#process.stdin.write(`${JSON.stringify(request)}\n`);
    const { done, value } = await this.#answers.next();
    if (done === true) throw new Unusable(`attack_bench.py ended at ${attack}:\n${this.#complaint.trim()}`);
    return JSON.parse(value) as Answer;
  }

  async close(): Promise<void> {
    this.#process.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
