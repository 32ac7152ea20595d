"use strict";
// forge asks a native solc for `--version` and for `--standard-json` on stdin; this answers both with the wasm build
// that package-lock.json pins. Paths in the input are relative to the folder forge runs it in.
const fs = require("node:fs");
const path = require("node:path");
const solc = require("solc");

const args = process.argv.slice(2);

/** Answers the compiler's question for a file that the input does not carry. */
function readImport(name) {
  try {
    return { contents: fs.readFileSync(path.resolve(name), "utf8") };
  } catch (error) {
    return { error: String(error.message) };
  }
}

if (args.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else if (args.includes("--standard-json")) {
  const input = fs.readFileSync(0, "utf8");
  const output = solc.compile(input, { import: readImport });
  process.stdout.write(output);
} else {
  process.stderr.write(`unsupported arguments: ${args.join(" ")}; expected --version or --standard-json\n`);
  process.exit(2);
}
