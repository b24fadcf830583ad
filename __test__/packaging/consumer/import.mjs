// Uses the package from an ECMAScript module.
import * as tslip from "tslip";
import train from "./train.cjs";

await train(tslip);
