#!/usr/bin/env node
// Runs Foundry's native tools from the npm packages and ends as they end: node bin/foundry.mjs forge test
// The launchers that the packages put into node_modules/.bin end with status 0 whatever the tool says (version 1.7.1).
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The native executable of `forge`, `cast` or `anvil`. */
export function executable(tool) {
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  const suffix = process.platform === "win32" ? ".exe" : "";
  const folder = `${tool}-${process.platform}-${arch}`;
  const path = join(root, "node_modules", "@foundry-rs", folder, "bin", `${tool}${suffix}`);
  if (!existsSync(path)) throw new Error(`no ${tool} at ${path}; run \`npm ci\` in contracts/ (or this platform has none)`);
  return path;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [tool, ...rest] = process.argv.slice(2);
  const { status, signal, error } = spawnSync(executable(tool), rest, { stdio: "inherit" });
  if (error) throw error;
  if (signal) process.kill(process.pid, signal);
  process.exit(status ?? 1);
}
