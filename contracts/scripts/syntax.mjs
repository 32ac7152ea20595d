#!/usr/bin/env node
// Writes what Slither reads: the syntax trees and ABIs of src/ as one file of Foundry's build-info form, without bytecode.
// Seconds instead of the minutes that a full build takes, with the compiler that package-lock.json pins.
//   node scripts/syntax.mjs FOLDER
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { executable } from "../bin/foundry.mjs";

const solc = createRequire(import.meta.url)("solc");
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const [folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node scripts/syntax.mjs FOLDER");
  process.exit(2);
}

/** The text of a source file, for the compiler. */
const read = (path) => ({ contents: readFileSync(join(root, path), "utf8") });

// An import that the input does not carry: the compiler has put the remapping in already.
function imported(path) {
  try {
    return read(path);
  } catch (error) {
    return { error: String(error.message) };
  }
}

const config = JSON.parse(execFileSync(executable("forge"), ["config", "--json"], { cwd: root, encoding: "utf8" }));
const names = readdirSync(join(root, "src"), { recursive: true })
  .filter((name) => name.endsWith(".sol"))
  .map((name) => `src/${name.replaceAll("\\", "/")}`)
  .sort();
const input = {
  language: "Solidity",
  sources: Object.fromEntries(names.map((name) => [name, { content: read(name).contents }])),
  settings: {
    remappings: config.remappings,
    evmVersion: config.evm_version,
    outputSelection: { "*": { "": ["ast"], "*": ["abi", "userdoc", "devdoc"] } },
  },
};

const output = JSON.parse(solc.compile(JSON.stringify(input), { import: imported }));
const errors = (output.errors ?? []).filter((error) => error.severity === "error");
if (errors.length > 0) {
  console.error(errors.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}

// Slither's reader wants the fields of the bytecode to be there; it analyses the trees.
const none = { object: "", sourceMap: "" };
for (const contract of Object.values(output.contracts).flatMap((of) => Object.values(of))) {
  contract.evm = { bytecode: none, deployedBytecode: none };
}

mkdirSync(folder, { recursive: true });
const build = { solcVersion: solc.version().replace(/\+.*/, ""), input, output };
writeFileSync(join(folder, "src.json"), JSON.stringify(build));
console.log(`${Object.keys(output.sources).length} sources, ${names.length} of them of this project`);
