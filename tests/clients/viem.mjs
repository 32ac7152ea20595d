// viem: the client of web pages.
import {
  createPublicClient, createTestClient, createWalletClient, decodeEventLog, defineChain, http,
  keccak256, parseEther, recoverMessageAddress, recoverTypedDataAddress, toRlp, webSocket,
  publicActions, walletActions,
} from 'viem';
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { address, equal, fails, key, ok, probe, soon } from './check.mjs';

// A header's RLP, from the JSON alone. Contracts that prove headers depend on it.
export function headerRlp(block) {
  const bytes = (value) => value;
  const number = (value) => {
    const hex = BigInt(value).toString(16);
    return hex === '0' ? '0x' : `0x${hex.length % 2 ? '0' : ''}${hex}`;
  };
  return toRlp([
    bytes(block.parentHash), bytes(block.sha3Uncles), bytes(block.miner), bytes(block.stateRoot),
    bytes(block.transactionsRoot), bytes(block.receiptsRoot), bytes(block.logsBloom),
    number(block.difficulty), number(block.number), number(block.gasLimit), number(block.gasUsed),
    number(block.timestamp), bytes(block.extraData), bytes(block.mixHash), bytes(block.nonce),
    number(block.baseFeePerGas), bytes(block.withdrawalsRoot), number(block.blobGasUsed),
    number(block.excessBlobGas), bytes(block.parentBeaconBlockRoot), bytes(block.requestsHash),
  ]);
}

export async function run(url) {
  const chain = defineChain({
    id: 31337, name: 'devnet', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  });
  const account = privateKeyToAccount(key);
  const ws = webSocket(url.replace(/^http/, 'ws'), { reconnect: false });
  let socketClient;
  for (const [name, transport] of [['http', http(url, { batch: true })], ['ws', ws]]) {
    const client = createWalletClient({ account, chain, transport, pollingInterval: 100 })
      .extend(publicActions);
    if (name === 'ws') socketClient = client;
    equal(await client.getChainId(), 31337, `${name} chain id`);
    equal((await client.getAddresses())[0], address, `${name} accounts`);

    const deployed = await client.waitForTransactionReceipt({
      hash: await client.deployContract({ abi: probe.abi, bytecode: probe.bytecode, args: [5n] }),
    });
    equal(deployed.status, 'success', `${name} deployment`);
    const contract = { abi: probe.abi, address: deployed.contractAddress };
    equal(await client.readContract({ ...contract, functionName: 'value' }), 5n, `${name} value`);

    const unwatched = [];
    const seen = new Promise((resolve) => {
      unwatched.push(client.watchContractEvent({
        ...contract, eventName: 'ValueSet', onLogs: (logs) => resolve(logs[0]),
      }));
    });
    const heads = new Promise((resolve) => {
      unwatched.push(client.watchBlocks({ onBlock: (b) => b.number > deployed.blockNumber && resolve(b) }));
    });
    await new Promise((resolve) => setTimeout(resolve, 400));

    const { request } = await client.simulateContract({
      ...contract, functionName: 'set', args: [77n, '0x1234'], account,
    });
    const receipt = await client.waitForTransactionReceipt({ hash: await client.writeContract(request) });
    equal(receipt.status, 'success', `${name} set`);
    const event = decodeEventLog({ abi: probe.abi, ...receipt.logs[0] });
    equal(event.args, { who: address, value: 77n, note: '0x1234' }, `${name} event`);
    equal((await soon(seen, `${name} event watch`)).args.value, 77n, `${name} watched event`);
    equal((await soon(heads, `${name} block watch`)).hash, receipt.blockHash, `${name} watched block`);
    unwatched.forEach((stop) => stop());

    const events = await client.getContractEvents({ ...contract, fromBlock: 0n, args: { value: 77n } });
    equal(events.length, 1, `${name} events`);
    const filter = await client.createContractEventFilter({ ...contract, fromBlock: 0n });
    equal((await client.getFilterChanges({ filter })).length, 1, `${name} filter changes`);
    equal((await client.getFilterLogs({ filter })).length, 1, `${name} filter logs`);
    ok(await client.uninstallFilter({ filter }), `${name} filter removed`);

    const past = { ...contract, functionName: 'value', blockNumber: deployed.blockNumber };
    equal(await client.readContract(past), 5n, `${name} past value`);
    await fails(client.readContract({ ...contract, functionName: 'failWithText' }),
      /no such luck/, `${name} revert text`);
    const refused = await fails(
      client.simulateContract({ ...contract, functionName: 'failWithError', args: [9n] }),
      /Refused/, `${name} custom error`);
    equal(refused.walk((e) => e.data?.errorName).data.args, [9n, 'because'], `${name} error args`);

    const block = await client.request({ method: 'eth_getBlockByNumber', params: ['latest', false] });
    equal(keccak256(headerRlp(block)), block.hash, `${name} header hash`);
    const [byOpcode, byHistory] = await client.readContract({
      ...contract, functionName: 'hashOf', args: [deployed.blockNumber],
    });
    equal([byOpcode, byHistory], [deployed.blockHash, deployed.blockHash], `${name} block hash on chain`);

    const transaction = await client.getTransaction({ hash: receipt.transactionHash });
    equal([transaction.type, transaction.from.toLowerCase(), transaction.blockNumber],
      ['eip1559', address.toLowerCase(), receipt.blockNumber], `${name} transaction`);
    const fees = await client.estimateFeesPerGas();
    ok(fees.maxFeePerGas > fees.maxPriorityFeePerGas, `${name} fees`);
    equal((await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] })).baseFeePerGas.length,
      3, `${name} fee history`);
    const proof = await client.getProof({ address: contract.address, storageKeys: [`0x${'0'.repeat(64)}`] });
    equal(proof.storageProof[0].value, 77n, `${name} proof`);
    await fails(client.sendTransaction({ to: address, value: parseEther('1000000') }),
      /insufficient funds|exceeds the balance/, `${name} too much`);
    await fails(client.sendTransaction({ to: address, value: 1n, nonce: 0 }),
      /nonce too low|lower than the current nonce/i, `${name} old nonce`);
  }

  // The node signs for its own accounts, as a wallet would.
  const node = createWalletClient({ account: address, chain, transport: http(url) }).extend(publicActions);
  const message = 'as sworn';
  const signature = await node.signMessage({ message });
  equal(await recoverMessageAddress({ message, signature }), address, 'personal_sign');
  const typed = {
    domain: { name: 'Sworn', version: '1', chainId: 31337, verifyingContract: address },
    types: { Rank: [{ name: 'prompt', type: 'uint256' }, { name: 'order', type: 'uint8[]' }] },
    primaryType: 'Rank', message: { prompt: 7n, order: [2, 0, 1] },
  };
  const typedSignature = await node.signTypedData(typed);
  equal(await recoverTypedDataAddress({ ...typed, signature: typedSignature }), address, 'typed data');
  const sent = await node.waitForTransactionReceipt({ hash: await node.sendTransaction({ to: address, value: 1n }) });
  equal(sent.status, 'success', 'eth_sendTransaction');
  ok(await node.verifyMessage({ address, message, signature }), 'signature verified by call');

  // EIP-7702 and access lists.
  const other = mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: 9 });
  const payer = createWalletClient({ account, chain, transport: http(url) }).extend(publicActions);
  const target = await payer.waitForTransactionReceipt({
    hash: await payer.deployContract({ abi: probe.abi, bytecode: probe.bytecode, args: [1n] }),
  });
  const authorization = await createWalletClient({ account: other, chain, transport: http(url) })
    .signAuthorization({ contractAddress: target.contractAddress });
  const delegated = await payer.waitForTransactionReceipt({
    hash: await payer.writeContract({
      abi: probe.abi, address: other.address, functionName: 'set', args: [3n, '0x'],
      authorizationList: [authorization],
    }),
  });
  equal([delegated.status, delegated.type], ['success', 'eip7702'], 'EIP-7702');
  const listed = await payer.waitForTransactionReceipt({
    hash: await payer.writeContract({
      abi: probe.abi, address: target.contractAddress, functionName: 'set', args: [4n, '0x'],
      type: 'eip2930', accessList: [{ address: target.contractAddress, storageKeys: [`0x${'0'.repeat(64)}`] }],
    }),
  });
  equal([listed.status, listed.type], ['success', 'eip2930'], 'EIP-2930');

  // Controls, under the names of both tools.
  for (const mode of ['anvil', 'hardhat']) {
    const test = createTestClient({ mode, chain, transport: http(url) })
      .extend(publicActions).extend(walletActions);
    const snapshot = await test.snapshot();
    const start = await test.getBlock();
    await test.mine({ blocks: 3 });
    equal((await test.getBlock()).number, start.number + 3n, `${mode} mine`);
    const now = (await test.getBlock()).timestamp;
    await test.increaseTime({ seconds: 500 });
    await test.mine({ blocks: 1 });
    ok((await test.getBlock()).timestamp >= now + 500n, `${mode} increaseTime`);
    const next = (await test.getBlock()).timestamp + 50n;
    await test.setNextBlockTimestamp({ timestamp: next });
    await test.mine({ blocks: 2, interval: 10 });
    equal((await test.getBlock()).timestamp, next + 10n, `${mode} timestamps`);
    const poor = '0x00000000000000000000000000000000000bEEf1';
    await test.setBalance({ address: poor, value: parseEther('1') });
    equal(await test.getBalance({ address: poor }), parseEther('1'), `${mode} setBalance`);
    await test.setCode({ address: poor, bytecode: '0x60' });
    equal(await test.getCode({ address: poor }), '0x60', `${mode} setCode`);
    await test.setCode({ address: poor, bytecode: '0x' });
    await test.setStorageAt({ address: target.contractAddress, index: 0, value: `0x${'0'.repeat(63)}9` });
    equal(await test.readContract({ abi: probe.abi, address: target.contractAddress, functionName: 'value' }),
      9n, `${mode} setStorageAt`);
    await test.setNonce({ address: poor, nonce: 4 });
    await test.impersonateAccount({ address: poor });
    const hash = await test.sendTransaction({ account: poor, chain, to: address, value: 1n });
    const receipt = await test.waitForTransactionReceipt({ hash });
    equal(receipt.from.toLowerCase(), poor.toLowerCase(), `${mode} impersonation`);
    equal((await test.getTransaction({ hash })).nonce, 4, `${mode} setNonce`);
    await test.stopImpersonatingAccount({ address: poor });
    await test.setAutomine(false);
    const waiting = await payer.sendTransaction({ to: address, value: 2n });
    await fails(test.getTransactionReceipt({ hash: waiting }), /could not be found/, `${mode} pending`);
    equal(await test.getTransactionCount({ address, blockTag: 'pending' })
      - await test.getTransactionCount({ address }), 1, `${mode} pending nonce`);
    await test.setAutomine(true);
    await test.mine({ blocks: 1 });
    equal((await test.getTransactionReceipt({ hash: waiting })).status, 'success', `${mode} mined`);
    await test.revert({ id: snapshot });
    equal((await test.getBlock()).hash, start.hash, `${mode} revert`);
  }
  (await socketClient.transport.getRpcClient()).close();
}
