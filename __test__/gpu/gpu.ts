// Whether this machine has a GPU that tests can run on; a software one will do.
import { describe } from "vitest";
import { devices } from "../../src/index.js";

const REQUIRED = !["", "0", undefined].includes(process.env["TSLIP_REQUIRE_GPU"]);

const found = devices().find(({ device }) => device === "gpu:0");
const usable = found !== undefined && found.error === undefined;

if (!usable) {
  const why = found?.error ?? "no Vulkan, Metal or DX12 driver was found";
  if (REQUIRED) throw new Error(`TSLIP_REQUIRE_GPU is set, but there is no GPU: ${why}`);
  process.stderr.write(
    `GPU tests are skipped: ${why}. A software driver is enough (Debian: apt install mesa-vulkan-drivers); ` +
      "TSLIP_REQUIRE_GPU=1 makes this a failure.\n",
  );
}

/** `describe` where there is a GPU. */
export const describeGpu = describe.skipIf(!usable);
