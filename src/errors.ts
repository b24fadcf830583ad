// The one error type that tslip throws: a code for programs, a sentence for people, a stack that starts at the caller.
import { clip } from "./describe.js";

/** What kind of mistake a {@link TslipError} reports. */
export type ErrorCode =
  | "SHAPE_MISMATCH"
  | "DTYPE_MISMATCH"
  | "INVALID_ARGUMENT"
  | "NON_FINITE"
  | "LABEL_OUT_OF_RANGE"
  | "EMPTY_DATASET"
  | "UNKNOWN_DEVICE"
  | "DEVICE_LOST"
  | "NOT_LIPSCHITZ"
  | "INVALID_FILE"
  | "IO"
  | "OUT_OF_MEMORY"
  | "CANCELLED"
  | "INTERNAL"
  | "TRACE"
  | "UNSUPPORTED"
  | "VIOLATION";

const ERROR_CODES: ReadonlySet<string> = new Set<ErrorCode>([
  "SHAPE_MISMATCH",
  "DTYPE_MISMATCH",
  "INVALID_ARGUMENT",
  "NON_FINITE",
  "LABEL_OUT_OF_RANGE",
  "EMPTY_DATASET",
  "UNKNOWN_DEVICE",
  "DEVICE_LOST",
  "NOT_LIPSCHITZ",
  "INVALID_FILE",
  "IO",
  "OUT_OF_MEMORY",
  "CANCELLED",
  "INTERNAL",
  "TRACE",
  "UNSUPPORTED",
  "VIOLATION",
]);

/** Whether `code` is one of the codes of {@link TslipError}. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && ERROR_CODES.has(code);
}

/** Where an error arose: the op that refused its operands, all their shapes, and the error underneath. */
export interface ErrorDetails {
  op?: string | undefined;
  shapes?: readonly (readonly number[])[] | undefined;
  cause?: unknown;
}

const OWN_URL = new URL(".", import.meta.url);
/** How the folder of this library begins in frames of a stack: as a URL, or as a path, on Windows without the first slash. */
const OWN_FOLDER = [OWN_URL.href, decodeURIComponent(OWN_URL.pathname).replace(/^\/(?=[A-Za-z]:\/)/, "")];
const STACK_DEPTH = 64;
/** Characters of a message at most, whatever was given: of a longer one the middle is left out, as its end says what to do. */
const LONGEST_MESSAGE = 400;

/**
 * An error of tslip. The message names what was given, what was expected and what to do, in at most 400 characters; `code` is
 * stable. Frames of tslip itself are left out of `stack`, so that it starts at the user's own line (they are kept for `INTERNAL`).
 */
export class TslipError extends Error {
  override readonly name = "TslipError";
  readonly code: ErrorCode;
  /** The op that refused its operands, if it was one. */
  readonly op: string | undefined;
  /** The shapes of all operands of that op. */
  readonly shapes: readonly (readonly number[])[] | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = STACK_DEPTH;
    super(clip(message, LONGEST_MESSAGE), details.cause === undefined ? undefined : { cause: details.cause });
    Error.stackTraceLimit = limit;
    this.code = code;
    this.op = details.op;
    this.shapes = details.shapes;
    if (code !== "INTERNAL") this.stack = withoutOwnFrames(`TslipError [${code}]: ${this.message}`, this.stack);
  }
}

/**
 * Has assignments to these names, which nothing would follow, throw `INVALID_ARGUMENT` with what to do instead. They are those that
 * other libraries use, or of what cannot be changed.
 */
export function refuseFields(prototype: object, instead: Readonly<Record<string, string>>): void {
  for (const [name, advice] of Object.entries(instead)) {
    Object.defineProperty(prototype, name, {
      configurable: true,
      set(this: object): never {
        throw new TslipError(
          "INVALID_ARGUMENT",
          `setting ${name} of ${this.constructor.name} would change nothing: ${advice}`,
        );
      },
    });
  }
}

function withoutOwnFrames(title: string, stack: string | undefined): string {
  const frames = (stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  const own = (line: string): boolean => OWN_FOLDER.some((folder) => line.replaceAll("\\", "/").includes(folder));
  const foreign = frames.filter((line) => !own(line));
  return [title, ...(foreign.length > 0 ? foreign : frames)].join("\n");
}
