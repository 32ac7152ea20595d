// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IInbox} from "../../src/interfaces/IInbox.sol";
import {IPrompts} from "../../src/interfaces/IPrompts.sol";
import {IVouchers} from "../../src/interfaces/IVouchers.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {Machine} from "../../src/libraries/Machine.sol";
import {Pages} from "../../src/libraries/Pages.sol";
import {ParamsWord} from "../../src/libraries/ParamsWord.sol";
import {Payload} from "../../src/libraries/Payload.sol";
import {Places} from "../../src/libraries/Places.sol";
import {Records} from "../../src/libraries/Records.sol";
import {Naive} from "../utils/Naive.sol";
import {Test} from "../utils/Test.sol";

contract LibrariesHarness {
    function pack(uint8[] calldata places) external pure returns (bytes16) {
        return Places.pack(places);
    }

    function write(bytes calldata data) external returns (address) {
        return CodeStore.write(data);
    }

    function runRecord(IVouchers.Run calldata run) external pure returns (bytes32) {
        return Records.run(run);
    }

    function checkParams(IInbox.Params calldata params) external pure {
        ParamsWord.check(params);
    }
}

contract ParamsWordTest is Test {
    function testFuzz_roundTrip(IInbox.Params memory params) external pure {
        bytes32 word = ParamsWord.pack(params);
        bytes memory expected = abi.encodePacked(params.kind, params.nRuns, params.maxNewTokens, params.maxTotalTokens);
        expected =
            abi.encodePacked(expected, params.temperatureMilli, params.topK, params.topPPpm, params.minPPpm, bytes5(0));
        same(bytes.concat(word), expected, "layout");
        same(abi.encode(ParamsWord.unpack(word)), abi.encode(params), "unpack");
        same(ParamsWord.runs(word), params.nRuns, "runs");
        same(ParamsWord.kind(word), params.kind, "kind");
    }

    /// @dev The rules of SPEC section 6, word for word.
    function testFuzz_check(IInbox.Params memory params, uint256 salt) external {
        // Half of the draws lie near the borders.
        if (salt & 1 == 0) params.kind = 1;
        if (salt & 2 == 0) params.nRuns = params.nRuns % 18;
        if (salt & 4 == 0) {
            params.temperatureMilli = uint32(salt >> 32) % 3 == 0 ? 0 : params.temperatureMilli % 10_002;
        }
        if (salt & 8 == 0) params.topPPpm = params.topPPpm % 1_000_002;
        if (salt & 16 == 0) params.minPPpm = params.minPPpm % 1_000_002;
        bool good = params.kind == 1 && params.nRuns >= 1 && params.nRuns <= 16
            && (params.temperatureMilli != 0 || params.nRuns == 1) && params.temperatureMilli <= 10_000
            && params.topPPpm >= 1 && params.topPPpm <= 1_000_000 && params.minPPpm <= 1_000_000;
        LibrariesHarness harness = new LibrariesHarness();
        try harness.checkParams(params) {
            check(good, "bad ones are refused");
        } catch {
            check(!good, "good ones are taken");
        }
    }
}

contract PlacesTest is Test {
    LibrariesHarness private harness = new LibrariesHarness();

    function testFuzz_places(uint8[] memory places, uint256 count, uint256 spread) external view {
        count = within(count, 1, 16);
        uint8[] memory tried = new uint8[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint8 raw = i < places.length ? places[i] : uint8(uint256(keccak256(abi.encode(spread, i))));
            tried[i] = uint8(raw % (1 + spread % (count + 2)));
        }
        try harness.pack(tried) returns (bytes16 packed) {
            check(Naive.isRanking(tried), "what is no ranking is refused");
            same(abi.encode(Places.unpack(packed, count)), abi.encode(tried), "unpack");
        } catch {
            check(!Naive.isRanking(tried), "a ranking is taken");
        }
    }

    /// @dev All 3 ** 3 + ... lists of up to three places from 0..4.
    function test_allShortLists() external {
        for (uint256 count = 1; count <= 3; ++count) {
            for (uint256 code = 0; code < 5 ** count; ++code) {
                uint8[] memory places = new uint8[](count);
                for (uint256 i = 0; i < count; ++i) {
                    places[i] = uint8(code / 5 ** i % 5);
                }
                if (!Naive.isRanking(places)) vm.expectRevert();
                harness.pack(places);
            }
        }
    }

    function test_namesTheBadPlace() external {
        uint8[] memory places = new uint8[](3);
        (places[0], places[1], places[2]) = (1, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.NotARanking.selector, 1, 0));
        harness.pack(places);
        (places[0], places[1], places[2]) = (1, 4, 1);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.NotARanking.selector, 1, 4));
        harness.pack(places);
        (places[0], places[1], places[2]) = (1, 1, 3);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.NotARanking.selector, 2, 3));
        harness.pack(places);
    }
}

contract CodeStoreTest is Test {
    LibrariesHarness private harness = new LibrariesHarness();

    function testFuzz_roundTrip(bytes calldata data) external {
        address store = harness.write(data);
        same(store.code, bytes.concat(hex"00", data), "code");
        same(CodeStore.read(store, data.length), data, "data");
        same(CodeStore.size(store), data.length, "size");
    }

    function test_largest() external {
        bytes memory data = randomBytes(1, CodeStore.MAX_BYTES);
        same(CodeStore.read(harness.write(data), data.length), data, "24,575 bytes");
        vm.expectRevert(abi.encodeWithSelector(CodeStore.CreationFailed.selector, 24_576));
        harness.write(randomBytes(1, CodeStore.MAX_BYTES + 1));
    }

    function test_neverRuns() external {
        // SELFDESTRUCT, REVERT and the like stand behind a STOP.
        address store = harness.write(hex"5f5ffd");
        (bool ok, bytes memory answer) = store.call("");
        check(ok && answer.length == 0, "stops at once");
    }

    function test_noCodeKeepsNothing() external view {
        same(CodeStore.size(address(1234)), 0, "no code");
    }
}

contract RecordsTest is Test {
    LibrariesHarness private harness = new LibrariesHarness();

    function testFuzz_run(IVouchers.Run memory run) external view {
        bytes memory words = bytes.concat(
            bytes32("sworn/run/1"),
            bytes32(uint256(run.nPrompt)),
            bytes32(uint256(run.nTokens)),
            bytes32(uint256(run.finish)),
            run.tokensRoot,
            run.offsetsRoot,
            run.textRoot
        );
        words = bytes.concat(
            words,
            bytes32(uint256(run.textLength)),
            bytes32(uint256(int256(run.score))),
            bytes32(uint256(run.greedy ? 1 : 0))
        );
        same(harness.runRecord(run), sha256(words), "run");
    }

    function testFuzz_others(address inbox, bytes32 a, bytes32 b, bytes32 c, uint64 n, address sender) external view {
        same(Records.model(1, a, b, c), sha256(abi.encodePacked(bytes32("sworn/model/1"), uint256(1), a, b, c)), "m");
        same(
            Records.seed(inbox, n, a, b),
            sha256(abi.encodePacked(bytes32("sworn/seed/1"), block.chainid, uint256(uint160(inbox)), uint256(n), a, b)),
            "seed"
        );
        same(Records.accumulator(a, b, c), sha256(abi.encodePacked(bytes32("sworn/inbox/1"), a, b, c)), "accumulator");
        same(
            Records.job(n, 3, a, b),
            sha256(abi.encodePacked(bytes32("sworn/job/1"), uint256(n), uint256(3), a, b)),
            "job"
        );
        bytes memory words = abi.encodePacked(bytes32("sworn/claim/1"), block.chainid, uint256(uint160(inbox)));
        words = abi.encodePacked(words, uint256(n), a, b, c, uint256(uint160(sender)));
        same(Records.claim(inbox, n, a, b, c, sender), sha256(words), "claim");
        words =
            abi.encodePacked(bytes32("sworn/input/1"), block.chainid, uint256(uint160(inbox)), uint256(n), uint256(1));
        words = abi.encodePacked(words, uint256(uint160(sender)), uint256(uint160(inbox)), a, b, c, uint256(n));
        same(Records.input(inbox, Records.InputFields(n, 1, sender, inbox, a, b, c, n)), sha256(words), "input");
    }

    /// @dev Tags are ASCII, left-aligned, filled with zero bytes.
    function test_tags() external pure {
        same(Machine.TAG_RUN, bytes32(hex"73776f726e2f72756e2f31"), "run");
        same(Machine.TAG_ACCUMULATOR, bytes32(hex"73776f726e2f696e626f782f31"), "inbox");
    }
}

contract SmallLibrariesTest is Test {
    function testFuzz_pages(uint256 count, uint256 from, uint256 limit) external pure {
        uint256 length = Pages.length(count, from, limit);
        check(length <= limit && (length == 0 || from + length <= count), "inside");
        check(length == limit || length == 0 || from + length == count, "as long as it can be");
        check(from >= count || limit == 0 || length > 0, "something where something is");
    }

    function testFuzz_payload(string calldata text) external pure {
        bytes memory payload = Payload.ofText(text);
        same(payload.length, Payload.TEXT_OVERHEAD + bytes(text).length, "length");
        same(payload, abi.encodePacked(hex"01", hex"00", uint32(bytes(text).length), text), "layout");
    }
}
