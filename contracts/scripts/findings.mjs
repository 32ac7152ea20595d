#!/usr/bin/env node
// Compares what Slither found with the findings that docs/slither.md answers; fails on any difference.
//   node scripts/findings.mjs FOUND.json [--write]
// A line of slither.answered: how many findings, the detector, the file, the contract and function or variable. No line
// numbers: an edit elsewhere in a file changes nothing here.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const answered = join(dirname(fileURLToPath(import.meta.url)), "..", "slither.answered");
const [path, option] = process.argv.slice(2);
if (!path || (option && option !== "--write")) {
  console.error("usage: node scripts/findings.mjs FOUND.json [--write]");
  process.exit(2);
}

/** `Contract.function.variable` of what a finding is about. */
function name(element) {
  const parent = element.type_specific_fields?.parent;
  return parent && parent.type !== "file" ? `${name(parent)}.${element.name}` : element.name;
}

const report = JSON.parse(readFileSync(path, "utf8"));
if (!report.success) throw new Error(`Slither failed: ${report.error}`);
const counts = new Map();
for (const { check, elements, impact } of report.results.detectors ?? []) {
  const [first] = elements;
  const line = `${check} (${impact}) ${first.source_mapping.filename_relative} ${name(first)}`;
  counts.set(line, (counts.get(line) ?? 0) + 1);
}
const found = [...counts].map(([line, count]) => `${count} ${line}`).sort((a, b) => (a.slice(a.indexOf(" ")) < b.slice(b.indexOf(" ")) ? -1 : 1));

if (option) {
  writeFileSync(answered, `${found.join("\n")}\n`);
} else {
  const known = readFileSync(answered, "utf8").split("\n").filter((line) => line !== "");
  const added = found.filter((line) => !known.includes(line));
  const gone = known.filter((line) => !found.includes(line));
  if (added.length > 0) console.error(`not answered:\n  ${added.join("\n  ")}`);
  if (gone.length > 0) console.error(`answered, but not found:\n  ${gone.join("\n  ")}`);
  if (added.length + gone.length > 0) {
    console.error("fix them or answer them in docs/slither.md, then `bash scripts/slither.sh --write`");
    process.exit(1);
  }
}
const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
console.log(`${total} findings at ${found.length} places, each answered in docs/slither.md`);
