// node run.mjs <rpc-url>: exits 0 when viem, ethers and cast all agree with the endpoint.
import { count } from './check.mjs';

const url = process.argv[2];
if (!url) {
  console.error('usage: node run.mjs <rpc-url> [viem|ethers|cast ...]');
  process.exit(2);
}
const clients = process.argv.length > 3 ? process.argv.slice(3) : ['viem', 'ethers', 'cast'];
let failed = false;
for (const client of clients) {
  const before = count();
  const started = Date.now();
  try {
    await (await import(`./${client}.mjs`)).run(url);
    console.log(`${client}: ${count() - before} checks passed in ${Date.now() - started} ms`);
  } catch (error) {
    failed = true;
    const text = error.stack.replace(/0x[0-9a-f]{200,}/g, (hex) => `${hex.slice(0, 40)}…`);
    console.error(`${client}: FAILED after ${count() - before} checks\n${text}`);
  }
}
process.exit(failed ? 1 : 0);
