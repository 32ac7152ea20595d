// cast: the command line of Foundry.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { address, equal, fails, key, ok, probe } from './check.mjs';

const exec = promisify(execFile);
const program = fileURLToPath(new URL('../../contracts/node_modules/.bin/cast', import.meta.url));

export async function run(url) {
  // Options come first: what follows --create is the constructor's. The launcher that npm installs
  // does not pass a failure's exit status on, so the error text counts.
  const cast = async (command, ...args) => {
    const { stdout, stderr } =
      await exec(program, [command, '--rpc-url', url, ...args], { env: { ...process.env, NO_COLOR: '1' } });
    if (/^Error/m.test(stderr)) throw new Error(stderr);
    return stdout.trim();
  };
  const send = async (...args) =>
    JSON.parse(await cast('send', '--json', '--private-key', key, ...args));

  equal(await cast('chain-id'), '31337', 'chain id');
  const initial = 5n.toString(16).padStart(64, '0');
  const deployed = await send('--create', `${probe.bytecode}${initial}`);
  equal(deployed.status, '0x1', 'deployment');
  const at = deployed.contractAddress;
  equal(await cast('call', at, 'value()(uint256)'), '5', 'call');
  const receipt = await send(at, 'set(uint256,bytes)', '77', '0x1234');
  equal(receipt.status, '0x1', 'send');
  equal(await cast('call', at, 'value()(uint256)'), '77', 'call after send');
  equal(await cast('call', at, 'value()(uint256)', '--block', String(BigInt(deployed.blockNumber))), '5', 'past call');
  const logs = JSON.parse(await cast('logs', '--json', '--from-block', '0', '--address', at,
    'ValueSet(address indexed,uint256 indexed,bytes)'));
  equal([logs.length, logs[0].transactionHash], [1, receipt.transactionHash], 'logs');

  const block = JSON.parse(await cast('block', 'latest', '--json'));
  equal(block.hash, receipt.blockHash, 'block');
  ok((await cast('block', 'latest')).includes(block.stateRoot), 'block for people');
  equal(JSON.parse(await cast('tx', receipt.transactionHash, '--json')).from.toLowerCase(), address.toLowerCase(), 'tx');
  equal(JSON.parse(await cast('receipt', receipt.transactionHash, '--json')).blockHash, receipt.blockHash, 'receipt');
  ok(BigInt(await cast('balance', address)) > 0n, 'balance');
  ok(BigInt(await cast('nonce', address)) > 0n, 'nonce');
  equal(await cast('code', at), probe.deployedBytecode, 'code');
  equal(BigInt(await cast('storage', at, '0')), 77n, 'storage');
  ok(BigInt(await cast('gas-price')) > 0n, 'gas price');
  ok(BigInt(await cast('base-fee')) > 0n, 'base fee');
  ok(BigInt(await cast('estimate', at, 'set(uint256,bytes)', '1', '0x')) > 21000n, 'estimate');
  ok((await cast('client')).length > 0, 'client');
  equal(await cast('age', 'latest') !== '', true, 'age');
  await fails(cast('call', at, 'failWithText()'), /no such luck/, 'revert text');
  await fails(send(at, 'failWithError(uint256)', '3'), /reverted/, 'custom error');
  equal(JSON.parse(await cast('rpc', 'evm_snapshot')).startsWith('0x'), true, 'rpc');
  const unlocked = JSON.parse(await cast('send', '--json', '--unlocked', '--from', address, at,
    'set(uint256,bytes)', '78', '0x'));
  equal(unlocked.status, '0x1', 'unlocked account');
  const proof = JSON.parse(await cast('proof', at, '0x0'));
  equal(BigInt(proof.storageProof[0].value), 78n, 'proof');
}
