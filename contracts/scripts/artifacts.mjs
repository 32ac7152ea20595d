#!/usr/bin/env node
// Rebuilds artifacts/<Name>.json (ABI and bytecode) from the sources; with --check only compares and fails on a difference.
//   node scripts/artifacts.mjs [--check]
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { executable } from "../bin/foundry.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(root, "artifacts");
const check = process.argv.includes("--check");

// Every contract that is deployed, every interface, and the harness that tests deploy; libraries are compiled into their users.
const folders = ["src", "src/interfaces", "src/examples", "src/faults", "src/testing"];

/** Names of the source files of one folder. */
function sources(name) {
  const path = join(root, name);
  if (!existsSync(path)) return [];
  return readdirSync(path).filter((file) => file.endsWith(".sol")).sort();
}

/** The artifact of one contract, as text. */
function artifact(file) {
  const name = file.slice(0, -".sol".length);
  const built = JSON.parse(readFileSync(join(root, "out", file, `${name}.json`), "utf8"));
  const unlinked = Object.keys(built.bytecode.linkReferences ?? {});
  if (unlinked.length > 0) throw new Error(`${name} needs linking: ${unlinked.join(", ")}`);
  const fields = {
    contractName: name,
    abi: built.abi,
    bytecode: built.bytecode.object,
    deployedBytecode: built.deployedBytecode.object,
  };
  return `${JSON.stringify(fields, null, 1)}\n`;
}

execFileSync(executable("forge"), ["build", "--skip", "test", "--root", root], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });

const wanted = new Map();
for (const file of folders.flatMap(sources)) wanted.set(`${file.slice(0, -".sol".length)}.json`, artifact(file));

mkdirSync(folder, { recursive: true });
const present = readdirSync(folder).filter((file) => file.endsWith(".json"));
const wrong = [];
for (const [file, text] of wanted) {
  const path = join(folder, file);
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  wrong.push(file);
  if (!check) writeFileSync(path, text);
}
for (const file of present.filter((file) => !wanted.has(file))) {
  wrong.push(file);
  if (!check) rmSync(join(folder, file));
}

if (check && wrong.length > 0) {
  console.error(`artifacts differ from the sources: ${wrong.join(", ")}; run \`node scripts/artifacts.mjs\` and commit`);
  process.exit(1);
}
console.log(check ? `${wanted.size} artifacts match` : `${wanted.size} artifacts, ${wrong.length} changed`);
