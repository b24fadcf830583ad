// Every second example of the attacks, from the second on.
import { everyAttack } from "./every-attack.js";
import { cases } from "./examples.js";

everyAttack(cases.filter((_, i) => i % 2 === 1));
