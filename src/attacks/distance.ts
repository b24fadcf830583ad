// The norm of attacks that go by none themselves.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Option } from "../options.js";
import { L0, L1, L2, Linf, type Norm } from "./norm.js";

/** One of the norms, by default L2. */
export const distance: Option<Norm> = {
  read(name, given = L2) {
    const known = [L0, L1, L2, Linf].find((norm) => norm === given);
    if (known !== undefined) return known;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be one of the norms L0, L1, L2 and Linf, which tslip exports; given ${describe(given)}`,
    );
  },
};
