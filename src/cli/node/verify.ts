// tslip verify: a certificate file against its model and inputs.
import { verifyCertificates } from "../../certify/file.js";
import { list } from "../../describe.js";
import { createProgress } from "../../node/index.js";
import { command, UsageError } from "./command.js";

export const verify = command({
  summary: "verify a file of certificates against its model and inputs",
  usage: `tslip verify FILE --model FILE --inputs FILE [--key HEX] [--json]

  FILE      certificates, as saveCertificates writes them
  --model   the model, as saveModel(model.vanillaExport(), path) writes it
  --inputs  the inputs, as saveSafetensors({ images }, path) writes them
  --key     the public Ed25519 key of who must have signed them, in hexadecimal
  --json    what was found as JSON

Ends with 0 where every claim is proved, with 1 where one is not, with 2 where files cannot be read.`,
  options: {
    model: { type: "string" },
    inputs: { type: "string" },
    key: { type: "string" },
    json: { type: "boolean" },
  },
  async work({ model, inputs, key: publicKey, json }, [file, ...others], { out, error }) {
    if (others.length > 0)
      throw new UsageError(`one file of certificates at a time; given ${list([file, ...others])}: call it for each`);
    if (file === undefined || model === undefined || inputs === undefined)
      throw new UsageError("a file, its model and its inputs are needed");
    const progress = createProgress({ label: "verifying", total: 1, stream: error, format: percent });
    try {
      const onProgress = (share: number): void => progress.update(share);
      const { proved, ...found } = await verifyCertificates(file, { model, inputs, publicKey, onProgress });
      const { outcome, message } = found;
      // JSON has no number for infinite radii.
      const radii = proved.map((radius) => (Number.isFinite(radius) ? radius : String(radius)));
      out.write(json === true ? `${JSON.stringify({ ...found, proved: radii })}\n` : `${outcome}: ${message}\n`);
      return outcome === "VERIFIED" ? 0 : 1;
    } finally {
      progress.stop();
    }
  },
});

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
