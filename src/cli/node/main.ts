#!/usr/bin/env node
// The command tslip.
import "../../node/requirement.js";
import { run } from "./index.js";

process.exitCode = await run(process.argv.slice(2), { out: process.stdout, error: process.stderr });
