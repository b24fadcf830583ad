// Uses a GPU for the first time while a timer counts: prints how long that took, and the longest time without a tick.
import { Linear, setDefaultDevice } from "../../dist/index.js";

const model = new Linear(8, 3);
const images = { data: new Float32Array(16), shape: [2, 8] };
await model.predict(images);

setDefaultDevice("gpu");
const begun = performance.now();
let [last, longest] = [begun, 0];
const tick = () => {
  const now = performance.now();
  longest = Math.max(longest, now - last);
  last = now;
};
const timer = setInterval(tick, 1);
await model.predict(images);
tick();
clearInterval(timer);
process.stdout.write(JSON.stringify({ took: performance.now() - begun, longest }));
