// What the three clients' checks share.
import { readFileSync } from 'node:fs';

export const probe = JSON.parse(readFileSync(new URL('./Probe.json', import.meta.url), 'utf8'));

// Account 0 of the test mnemonic; its key is public knowledge.
export const address = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
export const key = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

let checks = 0;

export function equal(found, expected, what) {
  checks++;
  const text = (value) =>
    JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : v)) ?? String(value);
  if (text(found) !== text(expected)) {
    throw new Error(`${what}: expected ${text(expected)}, found ${text(found)}`);
  }
}

export function ok(condition, what) {
  checks++;
  if (!condition) throw new Error(`${what}: does not hold`);
}

export async function fails(promise, pattern, what) {
  checks++;
  try {
    await promise;
  } catch (error) {
    const text = `${error.shortMessage ?? ''} ${error.message} ${error.details ?? ''}`;
    if (!pattern.test(text)) throw new Error(`${what}: expected ${pattern}, found ${text}`);
    return error;
  }
  throw new Error(`${what}: expected a failure`);
}

export async function soon(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing came in 10 s`)), 10_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function count() {
  return checks;
}
