// What `require("tslip")` loads: the module that `import` loads. A Node.js that cannot require one would advise to import it, but
// is too old for that too; nor can it load the class of our errors.
try {
  module.exports = require("../index.js");
} catch (error) {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_REQUIRE_ESM") throw error;
  const message = `tslip is an ES module, which this Node.js, ${process.versions.node}, does not require: install Node.js 20.19 or a later 20, or 22.13 or later (https://nodejs.org)`;
  throw Object.assign(new Error(message, { cause: error }), { name: "TslipError", code: "UNSUPPORTED" });
}
