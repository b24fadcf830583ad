// Uses the package from a CommonJS module.
const tslip = require("tslip");
const train = require("./train.cjs");

train(tslip);
