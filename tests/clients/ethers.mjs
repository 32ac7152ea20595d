// ethers 6.
import {
  Contract, ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider,
  parseEther, verifyMessage, verifyTypedData,
} from 'ethers';
import { address, equal, fails, key, ok, probe, soon } from './check.mjs';

export async function run(url) {
  for (const [name, provider] of [
    ['http', new JsonRpcProvider(url, undefined, { pollingInterval: 100, cacheTimeout: -1 })],
    ['http-filters', new JsonRpcProvider(url, 31337, { polling: false, staticNetwork: true, cacheTimeout: -1 })],
    ['ws', new WebSocketProvider(url.replace(/^http/, 'ws'), undefined, { cacheTimeout: -1 })],
  ]) {
    // (Without cacheTimeout, ethers answers repeated questions from a cache of 250 ms: too slow for
    // a chain that mines at once.)
    equal((await provider.getNetwork()).chainId, 31337n, `${name} chain id`);
    const wallet = new NonceManager(new Wallet(key, provider));
    const factory = new ContractFactory(probe.abi, probe.bytecode, wallet);
    const contract = await factory.deploy(5n);
    await contract.waitForDeployment();
    const at = await contract.getAddress();
    equal(await contract.value(), 5n, `${name} value`);

    const seen = new Promise((resolve) => contract.on('ValueSet', (who, value) => resolve([who, value])));
    const block = new Promise((resolve) => provider.on('block', resolve));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const receipt = await (await contract.set(77n, '0x1234')).wait();
    equal(receipt.status, 1, `${name} set`);
    equal(await soon(seen, `${name} event`), [address, 77n], `${name} event`);
    ok((await soon(block, `${name} block`)) >= 1, `${name} block event`);
    await contract.removeAllListeners();
    await provider.removeAllListeners();

    const logs = await contract.queryFilter(contract.filters.ValueSet(address), 0);
    equal(logs.at(-1).args.toArray(), [address, 77n, '0x1234'], `${name} logs`);
    equal(await contract.value({ blockTag: receipt.blockNumber - 1 }), 5n, `${name} past value`);
    const text = await fails(contract.failWithText(), /no such luck/, `${name} revert text`);
    equal(text.reason, 'no such luck', `${name} revert reason`);
    const refused = await fails(contract.failWithError(9n), /Refused|unknown custom error|reverted/, `${name} custom error`);
    equal([refused.revert.name, ...refused.revert.args], ['Refused', 9n, 'because'], `${name} custom error`);

    const latest = await provider.getBlock('latest', true);
    ok(latest.prefetchedTransactions.every((t) => t.blockHash === latest.hash), `${name} full block`);
    const [byOpcode, byHistory] = await contract.hashOf(latest.number - 1);
    equal([byOpcode, byHistory], [latest.parentHash, latest.parentHash], `${name} block hash on chain`);
    const fees = await provider.getFeeData();
    ok(fees.maxFeePerGas > 0n && fees.gasPrice > 0n, `${name} fees`);
    equal(await provider.getStorage(at, 0), `0x${77n.toString(16).padStart(64, '0')}`, `${name} storage`);
    equal(await provider.getCode(at), probe.deployedBytecode, `${name} code`);

    const plain = new Wallet(key, provider);
    const nonce = await provider.getTransactionCount(address);
    await fails(plain.sendTransaction({ to: address, nonce: 0, value: 1n }), /nonce/i, `${name} old nonce`);
    await fails(plain.sendTransaction({ to: address, value: parseEther('1000000') }),
      /insufficient funds/, `${name} too much`);
    // A gap waits, then both are mined.
    const later = await plain.sendTransaction({ to: address, nonce: nonce + 1, gasLimit: 21000n });
    equal(await provider.getTransactionReceipt(later.hash), null, `${name} gap waits`);
    await plain.sendTransaction({ to: address, nonce, gasLimit: 21000n });
    equal((await later.wait()).status, 1, `${name} gap filled`);

    if (name.startsWith('http')) {
      const signer = await provider.getSigner(0);
      const message = 'as sworn';
      equal(verifyMessage(message, await signer.signMessage(message)), address, `${name} personal_sign`);
      const typed = [
        { name: 'Sworn', version: '1', chainId: 31337 },
        { Rank: [{ name: 'prompt', type: 'uint256' }, { name: 'best', type: 'Answer[]' }],
          Answer: [{ name: 'run', type: 'uint32' }, { name: 'text', type: 'string' }] },
        { prompt: 7n, best: [{ run: 1, text: 'a' }, { run: 0, text: 'b' }] },
      ];
      equal(verifyTypedData(...typed, await signer.signTypedData(...typed)), address, `${name} typed data`);
      const sent = await (await signer.sendTransaction({ to: address, value: 1n })).wait();
      equal(sent.status, 1, `${name} eth_sendTransaction`);
      const deployed = await new ContractFactory(probe.abi, probe.bytecode, signer).deploy(1n);
      equal(await new Contract(await deployed.getAddress(), probe.abi, (await deployed.waitForDeployment(), provider)).value(),
        1n, `${name} deployment by the node`);
    }
    await provider.destroy();
  }
}
