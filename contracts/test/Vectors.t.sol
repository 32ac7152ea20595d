// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Vouchers} from "../src/Vouchers.sol";
import {IClaims} from "../src/interfaces/IClaims.sol";
import {IInbox} from "../src/interfaces/IInbox.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {BlockHeader} from "../src/libraries/BlockHeader.sol";
import {Machine} from "../src/libraries/Machine.sol";
import {ParamsWord} from "../src/libraries/ParamsWord.sol";
import {Payload} from "../src/libraries/Payload.sol";
import {ProgramCheck} from "../src/libraries/ProgramCheck.sol";
import {ProgramHeader} from "../src/libraries/ProgramHeader.sol";
import {Records} from "../src/libraries/Records.sol";
import {Sha256Merkle} from "../src/libraries/Sha256Merkle.sol";
import {Test} from "./utils/Test.sol";

contract VectorsHarness {
    function textRoot(bytes calldata text) external view returns (bytes32) {
        return Sha256Merkle.textRoot(text);
    }

    function climb(bytes calldata text, uint256 depth, uint256 index, bytes32[] calldata path)
        external
        view
        returns (bytes32)
    {
        return Sha256Merkle.climb(Sha256Merkle.subtreeRoot(text, depth), index, path);
    }

    function verify(bytes32 root, bytes32 digest, uint256 index, uint256 depth, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        return Sha256Merkle.verify(root, digest, index, depth, path);
    }

    function mixHash(bytes calldata header) external pure returns (bool, bytes32) {
        return BlockHeader.mixHash(header);
    }

    function run(IVouchers.Run calldata fields) external pure returns (bytes32) {
        return Records.run(fields);
    }

    function parse(bytes calldata program) external pure returns (bytes memory index, ProgramHeader.Header memory) {
        return (ProgramCheck.check(program), ProgramHeader.parse(program));
    }

    function checkParams(IInbox.Params calldata params) external pure {
        ParamsWord.check(params);
    }

    function checkPayload(bytes calldata payload) external pure {
        Payload.check(payload);
    }
}

/// @title The machine's test vectors
/// @notice tests/vectors: made by the Rust implementation, recomputed by one in Python, checked here.
contract VectorsTest is Test {
    VectorsHarness private harness = new VectorsHarness();

    function test_merkle() external view {
        string memory json = _read("merkle");
        bytes32[] memory empty = vm.parseJsonBytes32Array(json, ".empty");
        check(empty.length > 10, "empty digests");
        for (uint256 i = 0; i < empty.length; ++i) {
            same(Sha256Merkle.emptyDigest(i), empty[i], "Z");
        }
        uint256 paths = 0;
        for (uint256 i = 0; _has(json, _at(".cases", i)); ++i) {
            string memory key = _at(".cases", i);
            bytes32[] memory leaves = _words(json, string.concat(key, ".leaves"));
            uint256 depth = _uint(json, key, ".depth");
            same(Sha256Merkle.depthOf(leaves.length), depth, "depth");
            bytes32 root = _word(json, key, ".root");
            for (uint256 j = 0; j < leaves.length; ++j) {
                bytes32[] memory path = _words(json, _at(string.concat(key, ".paths"), j));
                check(harness.verify(root, leaves[j], j, depth, path), "path");
                ++paths;
            }
        }
        check(paths > 30, "paths were checked");
    }

    function test_texts() external view {
        string memory json = _read("texts");
        uint256 count = 0;
        for (uint256 i = 0; _has(json, _at(".literals", i)); ++i) {
            string memory key = _at(".literals", i);
            same(harness.textRoot(_bytes(json, key, ".bytes")), _word(json, key, ".root"), "literal");
            ++count;
        }
        for (uint256 i = 0; _has(json, _at(".patterns", i)); ++i) {
            string memory key = _at(".patterns", i);
            uint256 length = _uint(json, key, ".length");
            bytes32 root = _word(json, key, ".root");
            same(harness.textRoot(_pattern(0, length)), root, "pattern");
            for (uint256 j = 0; j < _uint(json, key, ".chunk_count"); ++j) {
                if (length <= Machine.CHUNK_BYTES) continue;
                string memory part = _at(string.concat(key, ".chunks"), j);
                bytes memory text = _pattern(_uint(json, part, ".start"), _uint(json, part, ".length"));
                bytes32[] memory path = _words(json, string.concat(part, ".path"));
                same(harness.climb(text, 9, j, path), root, "chunk");
                ++count;
            }
        }
        check(count > 10, "texts were checked");
    }

    function test_params() external {
        string memory json = _read("params");
        uint256 count = 0;
        for (uint256 list = 0; list < 2; ++list) {
            string memory name = list == 0 ? ".valid" : ".invalid";
            for (uint256 i = 0; _has(json, _at(name, i)); ++i) {
                string memory key = _at(name, i);
                IInbox.Params memory params = _params(json, key);
                bytes32 word = _word(json, key, ".word");
                same(ParamsWord.pack(params), word, "word");
                same(abi.encode(ParamsWord.unpack(word)), abi.encode(params), "unpacked");
                string memory error_ = vm.parseJsonString(json, string.concat(key, ".error"));
                if (list == 1) vm.expectRevert(_error(error_, params));
                harness.checkParams(params);
                ++count;
            }
        }
        check(count > 20, "params were checked");
    }

    function test_payloads() external view {
        string memory json = _read("payloads");
        uint256 texts = 0;
        for (uint256 i = 0; _has(json, _at(".valid", i)); ++i) {
            string memory key = _at(".valid", i);
            bytes memory payload = _bytes(json, key, ".payload");
            same(payload.length, _uint(json, key, ".length"), "length");
            same(harness.textRoot(payload), _word(json, key, ".root"), "root");
            harness.checkPayload(payload);
            string memory segment = string.concat(key, ".segments[0]");
            bool alone = _has(json, segment) && !_has(json, string.concat(key, ".segments[1]"));
            if (!alone || !_has(json, string.concat(segment, ".bytes"))) continue;
            same(Payload.ofText(string(_bytes(json, segment, ".bytes"))), payload, "one text segment");
            ++texts;
        }
        check(texts >= 2, "texts were checked");
        uint256 malformed = 0;
        for (; _has(json, _at(".malformed", malformed)); ++malformed) {
            bytes memory payload = _bytes(json, _at(".malformed", malformed), ".payload");
            try harness.checkPayload(payload) {
                check(false, "a malformed payload passed");
            } catch {}
        }
        same(malformed, _uint(json, "", ".malformed_count"), "malformed");
    }

    function test_records() external {
        string memory json = _read("records");
        uint256 known = 0;
        for (uint256 i = 0; _has(json, _at(".cases", i)); ++i) {
            string memory key = _at(".cases", i);
            bytes32 digest = _word(json, key, ".digest");
            bytes32[] memory fields = _words(json, string.concat(key, ".fields"));
            same(sha256(abi.encodePacked(_word(json, key, ".tag"), fields)), digest, "definition");
            (bool here, bytes32 found) = _record(vm.parseJsonString(json, string.concat(key, ".record")), fields);
            if (!here) continue;
            same(found, digest, "record");
            ++known;
        }
        check(known > 20, "records were checked");
    }

    function test_seedsAndHeaders() external {
        string memory json = _read("seeds");
        uint256 count = 0;
        for (uint256 i = 0; _has(json, _at(".headers", i)); ++i) {
            string memory key = _at(".headers", i);
            bytes memory header = _bytes(json, key, ".rlp");
            (bool ok, bytes32 mixHash) = harness.mixHash(header);
            check(ok, "header");
            same(mixHash, _word(json, key, ".mix_hash"), "mixHash");
            same(keccak256(header), _word(json, key, ".block_hash"), "hash");
            ++count;
        }
        bytes[] memory malformed = vm.parseJsonBytesArray(json, ".malformed_headers");
        check(malformed.length > 5, "malformed headers");
        for (uint256 i = 0; i < malformed.length; ++i) {
            (bool ok,) = harness.mixHash(malformed[i]);
            check(!ok, "malformed header");
        }
        for (uint256 i = 0; _has(json, _at(".cases", i)); ++i) {
            string memory key = _at(".cases", i);
            vm.chainId(_uint(json, key, ".chain_id"));
            address inbox = vm.parseJsonAddress(json, string.concat(key, ".inbox"));
            bytes32 seed = Records.seed(
                inbox, _uint(json, key, ".input_id"), _word(json, key, ".mix_hash"), _word(json, key, ".block_hash")
            );
            same(seed, _word(json, key, ".seed"), "seed");
            ++count;
        }
        check(count > 4, "seeds were checked");
    }

    function test_accumulators() external view {
        string memory json = _read("accumulators");
        bytes32 accumulator;
        for (uint256 i = 0; _has(json, _at(".cases", i)); ++i) {
            string memory key = _at(".cases", i);
            accumulator = Records.accumulator(accumulator, _word(json, key, ".input"), _word(json, key, ".seed"));
            same(accumulator, _word(json, key, ".accumulator"), "accumulator");
        }
        check(accumulator != 0, "accumulators were checked");
    }

    function test_claims() external view {
        string memory json = _read("claims");
        uint256 runs = 0;
        for (uint256 i = 0; _has(json, _at(".jobs", i)); ++i) {
            string memory key = _at(".jobs", i);
            uint256 nRuns = _uint(json, key, ".n_runs");
            bytes32 job = Records.job(
                _uint(json, key, ".input_id"), nRuns, _word(json, key, ".runs_root"), _word(json, key, ".score_root")
            );
            same(job, _word(json, key, ".digest"), "job");
            for (uint256 j = 0; j < nRuns; ++j) {
                string memory run = _at(string.concat(key, ".runs"), j);
                same(harness.run(_run(json, run)), _word(json, run, ".digest"), "run");
                ++runs;
            }
        }
        check(runs > 10, "runs were checked");
    }

    /// @dev The vouchers contract itself takes every proof; the inbox and the claims say what the vectors say.
    function test_vouchers() external {
        string memory json = _read("vouchers");
        address inbox = account("inbox");
        address claims = account("claims");
        Vouchers vouchers = Vouchers(make("Vouchers", abi.encode(inbox, claims, 100_000)));
        IClaims.Claim memory claim;
        claim.status = IClaims.Status.Final;
        claim.epoch = uint64(_uint(json, ".claim", ".epoch"));
        claim.modelId = _word(json, ".claim", ".model_id");
        claim.accumulator = _word(json, ".claim", ".accumulator");
        claim.root = _word(json, ".claim", ".root");
        claim.proposer = vm.parseJsonAddress(json, ".claim.proposer");
        bytes32 claimId = _word(json, ".claim", ".claim_id");

        vm.chainId(_uint(json, ".claim", ".chain_id"));
        address deployed = vm.parseJsonAddress(json, ".claim.claims");
        bytes32 found =
            Records.claim(deployed, claim.epoch, claim.modelId, claim.accumulator, claim.root, claim.proposer);
        same(found, claimId, "claim id");

        vm.mockCall(claims, abi.encodeCall(IClaims.claimOf, (claimId)), abi.encode(claim));
        uint32 laneCount = uint32(_uint(json, ".claim", ".lane_count"));
        vm.mockCall(inbox, abi.encodeCall(IInbox.laneCount, (claim.epoch, claim.modelId)), abi.encode(laneCount));
        uint256 executed = 0;
        for (uint256 i = 0; _has(json, _at(".cases", i)); ++i) {
            _execute(vouchers, inbox, json, _at(".cases", i), claim, claimId);
            ++executed;
        }
        check(executed > 8, "vouchers were executed");
    }

    function test_programs() external view {
        string memory json = _read("machine");
        uint256 count = 0;
        for (uint256 i = 0; _has(json, _at(".models", i)); ++i) {
            bytes memory program = _bytes(json, _at(".models", i), ".program");
            (bytes memory index, ProgramHeader.Header memory header) = harness.parse(program);
            check(header.context > 0 && header.vocabulary > 0, "program");
            same(index.length, 12 + (program.length - 96) / 8, "index");
            same(sha256(program), _word(json, _at(".models", i), ".program_root"), "program root");
            ++count;
        }
        check(count > 0, "programs were checked");
    }

    function _execute(
        Vouchers vouchers,
        address inbox,
        string memory json,
        string memory key,
        IClaims.Claim memory claim,
        bytes32 claimId
    ) private {
        IVouchers.Proof memory proof = _proof(json, key);
        proof.claimId = claimId;
        IInbox.Input memory input;
        (input.epoch, input.modelId, input.recipient) = (claim.epoch, claim.modelId, address(0xbeef));
        input.laneIndex = uint32(_uint(json, key, ".lane_index"));
        IInbox.Params memory params;
        params.nRuns = uint16(_uint(json, key, ".n_runs"));
        input.params = ParamsWord.pack(params);
        vm.mockCall(inbox, abi.encodeCall(IInbox.input, (proof.inputId)), abi.encode(input));
        vm.mockCall(inbox, abi.encodeCall(IInbox.isSealed, (proof.inputId)), abi.encode(true));
        bytes memory text = _pattern(_uint(json, key, ".chunk_start"), _uint(json, key, ".chunk_length"));
        IVouchers.Run memory run = _run(json, string.concat(key, ".record"));
        uint32 chunk = uint32(_uint(json, key, ".chunk"));
        check(vouchers.execute(proof, run, chunk, text), "delivered");
        check(vouchers.isExecuted(proof.inputId, proof.run, chunk), "executed");
    }

    function _proof(string memory json, string memory key) private view returns (IVouchers.Proof memory proof) {
        proof.inputId = _uint(json, key, ".input_id");
        proof.run = uint32(_uint(json, key, ".run"));
        proof.runsRoot = _word(json, key, ".runs_root");
        proof.scoreRoot = _word(json, key, ".score_root");
        proof.jobPath = _words(json, string.concat(key, ".job_path"));
        proof.runPath = _words(json, string.concat(key, ".run_path"));
        proof.chunkPath = _words(json, string.concat(key, ".chunk_path"));
    }

    function _run(string memory json, string memory key) private pure returns (IVouchers.Run memory run) {
        run.nPrompt = uint32(_uint(json, key, ".n_prompt"));
        run.nTokens = uint32(_uint(json, key, ".n_tokens"));
        run.finish = uint8(_uint(json, key, ".finish"));
        run.tokensRoot = _word(json, key, ".tokens_root");
        run.offsetsRoot = _word(json, key, ".offsets_root");
        run.textRoot = _word(json, key, ".text_root");
        run.textLength = uint64(_uint(json, key, ".text_length"));
        run.score = int64(vm.parseJsonInt(json, string.concat(key, ".score")));
        run.greedy = vm.parseJsonBool(json, string.concat(key, ".greedy"));
    }

    /// @dev A record by this project's own functions; false for those that contracts don't make.
    function _record(string memory name, bytes32[] memory f) private returns (bool, bytes32) {
        bytes32 kind = keccak256(bytes(name));
        if (kind == keccak256("model")) return (true, Records.model(uint32(uint256(f[0])), f[1], f[2], f[3]));
        if (kind == keccak256("accumulator")) return (true, Records.accumulator(f[0], f[1], f[2]));
        if (kind == keccak256("job")) return (true, Records.job(uint256(f[0]), uint256(f[1]), f[2], f[3]));
        if (kind == keccak256("run")) return (true, harness.run(abi.decode(abi.encodePacked(f), (IVouchers.Run))));
        if (kind == keccak256("input")) return (true, _inputRecord(f));
        if (kind != keccak256("seed") && kind != keccak256("claim")) return (false, 0);
        _setChain(f[0]);
        if (kind == keccak256("seed")) return (true, Records.seed(_address(f[1]), uint256(f[2]), f[3], f[4]));
        return (true, Records.claim(_address(f[1]), uint64(uint256(f[2])), f[3], f[4], f[5], _address(f[6])));
    }

    function _inputRecord(bytes32[] memory f) private returns (bytes32) {
        _setChain(f[0]);
        Records.InputFields memory fields;
        (fields.inputId, fields.kind) = (uint256(f[2]), uint8(uint256(f[3])));
        (fields.sender, fields.recipient) = (_address(f[4]), _address(f[5]));
        (fields.modelId, fields.params, fields.payloadRoot, fields.payloadLength) = (f[6], f[7], f[8], uint256(f[9]));
        return Records.input(_address(f[1]), fields);
    }

    /// @dev forge takes chain ids below 2^64 only.
    function _setChain(bytes32 id) private {
        check(uint256(id) < 2 ** 64, "a chain id that forge takes");
        vm.chainId(uint256(id));
    }

    function _params(string memory json, string memory key) private pure returns (IInbox.Params memory params) {
        params.kind = uint8(_uint(json, key, ".kind"));
        params.nRuns = uint16(_uint(json, key, ".n_runs"));
        params.maxNewTokens = uint32(_uint(json, key, ".max_new_tokens"));
        params.maxTotalTokens = uint32(_uint(json, key, ".max_total_tokens"));
        params.temperatureMilli = uint32(_uint(json, key, ".temperature_milli"));
        params.topK = uint32(_uint(json, key, ".top_k"));
        params.topPPpm = uint32(_uint(json, key, ".top_p_ppm"));
        params.minPPpm = uint32(_uint(json, key, ".min_p_ppm"));
    }

    function _error(string memory name, IInbox.Params memory params) private pure returns (bytes memory) {
        bytes32 kind = keccak256(bytes(name));
        if (kind == keccak256("UnsupportedKind")) {
            return abi.encodeWithSelector(IInbox.UnsupportedKind.selector, params.kind);
        }
        if (kind == keccak256("BadRunCount")) {
            return abi.encodeWithSelector(IInbox.BadRunCount.selector, params.nRuns, 16);
        }
        if (kind == keccak256("RunsAtZeroTemperature")) {
            return abi.encodeWithSelector(IInbox.RunsAtZeroTemperature.selector, params.nRuns);
        }
        if (kind == keccak256("BadSampling temperature")) {
            return _sampling("temperature", params.temperatureMilli, 10_000);
        }
        if (kind == keccak256("BadSampling top_p")) return _sampling("top_p", params.topPPpm, 1_000_000);
        if (kind == keccak256("BadSampling min_p")) return _sampling("min_p", params.minPPpm, 1_000_000);
        revert NotTrue(string.concat("an error of the inbox: ", name));
    }

    function _sampling(string memory field, uint256 found, uint256 maximum) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IInbox.BadSampling.selector, field, found, maximum);
    }

    /// @dev Bytes [start, start + length) of the vectors' pattern.
    function _pattern(uint256 start, uint256 length) private pure returns (bytes memory text) {
        text = new bytes(length);
        assembly ("memory-safe") {
            for { let i := 0 } lt(i, length) { i := add(i, 1) } {
                mstore8(add(add(text, 32), i), byte(28, mul(add(start, i), 2654435761)))
            }
        }
    }

    // JSON

    function _read(string memory name) private view returns (string memory) {
        string memory json = vm.readFile(string.concat("../tests/vectors/", name, ".json"));
        same(vm.parseJsonUint(json, ".machine_version"), Machine.MACHINE_VERSION, "machine version");
        return json;
    }

    function _at(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(list, "[", vm.toString(index), "]");
    }

    function _has(string memory json, string memory key) private view returns (bool) {
        return vm.keyExistsJson(json, key);
    }

    function _uint(string memory json, string memory key, string memory field) private pure returns (uint256) {
        return vm.parseJsonUint(json, string.concat(key, field));
    }

    function _word(string memory json, string memory key, string memory field) private pure returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(key, field));
    }

    function _bytes(string memory json, string memory key, string memory field) private pure returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(key, field));
    }

    /// @dev An array of words; forge can't read an empty one.
    function _words(string memory json, string memory key) private view returns (bytes32[] memory) {
        if (!_has(json, string.concat(key, "[0]"))) return new bytes32[](0);
        return vm.parseJsonBytes32Array(json, key);
    }

    function _address(bytes32 word) private pure returns (address) {
        return address(uint160(uint256(word)));
    }
}
