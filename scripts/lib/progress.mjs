// What a step of a build shows while it runs: on a terminal one line that moves, elsewhere a plain line now and then.

/** Redraws of the line on a terminal, so that the seconds move too while a large crate is compiled. */
const FRAME_MS = 500;
/** Plain lines are this far apart. */
const LINE_MS = 10_000;

/**
 * Shows that a step is under way.
 * @param title what is being done.
 * @param stream where; a terminal if `isTTY`.
 * @returns `update(status)` with what it is at, and `stop()`, which writes how long it took, or `stop("failed")`.
 */
export function showStep(title, stream = process.stderr) {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  let status = "";
  let lines = 0;
  const redraw = () => {
    const text = `${title} … ${seconds().toFixed(0)} s${status === "" ? "" : `, ${status}`}`;
    stream.write(`\r\x1b[2K${text.slice(0, (stream.columns ?? 80) - 1)}`);
  };
  const addLine = () => {
    if (status === "") return;
    stream.write(`${lines === 0 ? "\n" : ""}  ${seconds().toFixed(0)} s, ${status}\n`);
    lines += 1;
  };
  if (stream.isTTY) redraw();
  else stream.write(`${title} … `);
  const timer = stream.isTTY ? setInterval(redraw, FRAME_MS) : setInterval(addLine, LINE_MS);
  return {
    update(text) {
      status = text;
    },
    stop(result = `${seconds().toFixed(1)} s`) {
      clearInterval(timer);
      if (stream.isTTY) stream.write("\r\x1b[2K");
      stream.write(stream.isTTY || lines > 0 ? `${title} … ${result}\n` : `${result}\n`);
    },
  };
}

/** Makes cargo tell its progress to a pipe as well, in lines that end in a carriage return. */
export const CARGO_PROGRESS = { CARGO_TERM_PROGRESS_WHEN: "always", CARGO_TERM_PROGRESS_WIDTH: "100" };

/** What a line of cargo says of its progress, in words; undefined for any other line. */
export function cargoStatus(line) {
  const [, done, total, names] = /^\s*Building \[[^\]]*\] (\d+)\/(\d+)(?:: (.*?))?\s*$/.exec(line) ?? [];
  if (total !== undefined) return `${done} of ${total} crates compiled${names ? `, now ${names}` : ""}`;
  return /^\s*((?:Blocking|Downloading|Updating) .*?)\s*$/.exec(line)?.[1];
}
