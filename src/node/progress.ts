// Progress of long work on stderr: a bar on a terminal, a plain line now and then anywhere else.
import { Presets, SingleBar } from "cli-progress";
import { asGiven, number, readOptions, type Schema } from "../options.js";

/** What text is written to, such as process.stderr: any object with `write`; a terminal's stream where `isTTY` is true. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface ProgressOptions {
  /** What is being done, for instance "download". */
  label: string;
  /** The value of `update` at which the work is done. */
  total: number;
  /** Default: process.stderr. */
  stream?: TextStream;
  /** How a value and the total are written. Default: the number. */
  format?: (value: number) => string;
}

const OPTIONS = {
  label: asGiven<string>(),
  total: number("a number of at least 0", (value) => value >= 0),
  stream: asGiven<ProgressOptions["stream"]>(),
  format: asGiven<ProgressOptions["format"]>(),
} satisfies Schema<keyof ProgressOptions>;

export interface Progress {
  /** Work done so far, out of `total`, and what to say of it, for instance "loss 3.2". */
  update(value: number, text?: string): void;
  /** Ends the display, where it stands. Further updates are ignored. */
  stop(): void;
}

/** Redraws of the bar a second: callers may update as often as they like. */
const FRAMES_PER_SECOND = 20;
/** Without a terminal, lines are this far apart: a tenth of the work, but no less than this many milliseconds. */
const LINE_SHARE = 0.1;
const LINE_INTERVAL_MS = 1000;

/**
 * Shows progress of `total` units of work.
 *
 * On a terminal: one bar, redrawn in place. Elsewhere (a file, a pipe, CI): a line for each tenth of the work, at most one a
 * second, and one for its end.
 */
export function createProgress(options: ProgressOptions): Progress {
  const { label, total, stream = process.stderr, format = String } = readOptions("createProgress", OPTIONS, options);
  return stream.isTTY === true ? bar(label, total, stream, format) : lines(label, total, stream, format);
}

type Format = (value: number) => string;

function bar(label: string, total: number, stream: TextStream, format: Format): Progress {
  const display = new SingleBar(
    {
      stream: stream as NodeJS.WriteStream,
      fps: FRAMES_PER_SECOND,
      hideCursor: true,
      format: "{label} {bar} {percentage} % | {done} / {all} | {eta_formatted} left{text}",
      barsize: 30,
      etaBuffer: 50,
    },
    Presets.shades_classic,
  );
  display.start(total, 0, { label, done: format(0), all: format(total), text: "" });
  let running = true;
  return {
    update(value, text) {
      if (!running) return;
      const payload = { done: format(value), ...(text === undefined ? {} : { text: ` | ${text}` }) };
      display.update(Math.min(value, total), payload);
    },
    stop() {
      if (running) display.stop();
      running = false;
    },
  };
}

function lines(label: string, total: number, stream: TextStream, format: Format): Progress {
  let running = true;
  let written = 0;
  let writtenAt = performance.now();
  return {
    update(value, text) {
      if (!running || value === written) return;
      const now = performance.now();
      const due = value - written >= LINE_SHARE * total && now - writtenAt >= LINE_INTERVAL_MS;
      if (!due && value < total) return;
      written = value;
      writtenAt = now;
      const percentage = total > 0 ? Math.floor((100 * value) / total) : 100;
      stream.write(
        `${label}: ${percentage} % (${format(value)} / ${format(total)})${text === undefined ? "" : ` ${text}`}\n`,
      );
    },
    stop() {
      running = false;
    },
  };
}
