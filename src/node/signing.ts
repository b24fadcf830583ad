// Ed25519 signatures.
import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { TslipError } from "../errors.js";

/** A signature with the key by which it is verified, both in hexadecimal. */
export interface Signature {
  readonly publicKey: string;
  readonly value: string;
}

/** What signs texts by a private key, PKCS #8 in PEM. Throws `INVALID_ARGUMENT` for any other. */
export function ed25519Signer(privateKey: string): (text: string) => Signature {
  const key = privateKeyOf(privateKey);
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  const publicKey = Buffer.from(x, "base64url").toString("hex");
  return (text) => ({ publicKey, value: sign(null, Buffer.from(text), key).toString("hex") });
}

function privateKeyOf(text: string): KeyObject {
  const refused = (cause?: unknown): TslipError =>
    new TslipError(
      "INVALID_ARGUMENT",
      "privateKey must be an Ed25519 key, PKCS #8 in PEM, as openssl genpkey -algorithm ed25519 makes it",
      { cause },
    );
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (cause) {
    throw refused(cause);
  }
  if (key.asymmetricKeyType !== "ed25519") throw refused();
  return key;
}
