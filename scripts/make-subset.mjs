// Makes data/fashion-mnist-subset: the first 600 training and 100 test images of each class, in file order.
// node scripts/make-subset.mjs [FOLDER WITH THE FOUR .gz FILES] [OUTPUT FOLDER]
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { constants, gunzipSync, gzipSync } from "node:zlib";

const source = process.argv[2] ?? "/usr/share/datasets/fashion-mnist";
const target = process.argv[3] ?? fileURLToPath(new URL("../data/fashion-mnist-subset", import.meta.url));
const CLASSES = 10;
const IMAGE_HEADER = 16;
const LABEL_HEADER = 8;
const PIXELS = 28 * 28;

function take(part, perClass) {
  const images = gunzipSync(readFileSync(join(source, `${part}-images-idx3-ubyte.gz`)));
  const labels = gunzipSync(readFileSync(join(source, `${part}-labels-idx1-ubyte.gz`)));
  const left = new Array(CLASSES).fill(perClass);
  const chosen = [];
  labels.subarray(LABEL_HEADER).forEach((label, index) => {
    if (left[label] > 0) {
      left[label] -= 1;
      chosen.push(index);
    }
  });
  if (left.some((missing) => missing > 0)) {
    throw new Error(`${source}: ${part} has too few images in some class: ${left.join(", ")} missing`);
  }

  const imageHeader = Buffer.from(images.subarray(0, IMAGE_HEADER));
  const labelHeader = Buffer.from(labels.subarray(0, LABEL_HEADER));
  imageHeader.writeUInt32BE(chosen.length, 4);
  labelHeader.writeUInt32BE(chosen.length, 4);
  const pixels = chosen.map((i) => images.subarray(IMAGE_HEADER + i * PIXELS, IMAGE_HEADER + (i + 1) * PIXELS));
  write(`${part}-images-idx3-ubyte`, Buffer.concat([imageHeader, ...pixels]));
  write(
    `${part}-labels-idx1-ubyte`,
    Buffer.concat([labelHeader, Buffer.from(chosen.map((i) => labels[LABEL_HEADER + i]))]),
  );
}

function write(name, content) {
  const compressed = gzipSync(content, { level: constants.Z_BEST_COMPRESSION, memLevel: 9 });
  writeFileSync(join(target, `${name}.gz`), compressed);
  const digest = createHash("sha256").update(content).digest("hex");
  console.log(`${name}  ${content.length} bytes, ${compressed.length} compressed, SHA-256 of the content ${digest}`);
}

take("train", 600);
take("t10k", 100);
