// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Models} from "../src/Models.sol";
import {IModels} from "../src/interfaces/IModels.sol";
import {Deployment} from "./utils/Deployment.sol";
import {Programs} from "./utils/Programs.sol";

contract ModelsTest is Deployment {
    bytes32 private constant WEIGHTS = keccak256("some weights");
    bytes32 private constant TOKENIZER = keccak256("some tokenizer");
    uint256 private constant NO_ENTRY = type(uint256).max;

    function setUp() external {
        deploy();
    }

    function test_register() external {
        bytes memory program = Programs.small();
        bytes32 programRoot = sha256(program);
        bytes32 expected =
            sha256(abi.encodePacked(bytes32("sworn/model/1"), uint256(1), programRoot, WEIGHTS, TOKENIZER));
        address store = models.model(modelId).program;
        address publisher = account("publisher");
        IModels.Card memory made = card("other");
        made.parent = modelId;
        vm.expectEmit(address(models));
        emit IModels.ModelRegistered(
            expected, publisher, modelId, store, "other", "1.0", "MIT", "https://example.org/weights"
        );
        vm.prank(publisher);
        bytes32 id = models.register(program, WEIGHTS, TOKENIZER, made);

        same(id, expected, "id");
        check(models.exists(id), "exists");
        IModels.Model memory model = models.model(id);
        same(model.publisher, publisher, "publisher");
        same(model.registeredAt, time(), "time");
        same(model.context, 256, "context");
        same(model.vocabulary, 512, "vocabulary");
        same(model.commitments.programRoot, programRoot, "program root");
        same(model.commitments.weightsRoot, WEIGHTS, "weights root");
        same(model.commitments.tokenizerRoot, TOKENIZER, "tokenizer root");
        same(abi.encode(model.card), abi.encode(made), "card");
        same(models.programOf(id), program, "program");
        same(
            model.program.code.length, 1 + program.length + 4 * 30 + 12, "code: the program between 0x00 and its index"
        );
        (address code, bytes32 weightsRoot, bytes32 tokenizerRoot) = models.commitmentsOf(id);
        check(models.programCodeOf(id) == code, "program");
        (address code2, bytes32 weightsRoot2) = models.weightsOf(id);
        check(code2 == code && weightsRoot2 == weightsRoot, "program and weights");
        check(code == store && weightsRoot == WEIGHTS && tokenizerRoot == TOKENIZER, "commitments");
        same(model.program, store, "equal programs share their code");
    }

    function test_machineVersion() external {
        same(models.machineVersion(), 1, "version");
        same(Models(make("Models", abi.encode(7))).machineVersion(), 7, "another");
    }

    function test_ids() external {
        bytes32 second = registerModel("second", 0);
        bytes32 third = registerModel("third", 0);
        same(models.count(), 3, "count");
        bytes32[] memory all = models.ids(0, 100);
        check(all.length == 3 && all[0] == modelId && all[1] == second && all[2] == third, "all");
        bytes32[] memory page = models.ids(1, 1);
        check(page.length == 1 && page[0] == second, "page");
        same(models.ids(3, 1).length, 0, "past the end");
        same(models.ids(type(uint256).max, type(uint256).max).length, 0, "far past the end");
    }

    function test_modelExists() external {
        bytes32 id = models.register(Programs.small(), WEIGHTS, TOKENIZER, card("a"));
        vm.expectRevert(abi.encodeWithSelector(IModels.ModelExists.selector, id));
        models.register(Programs.small(), WEIGHTS, TOKENIZER, card("b"));
    }

    function test_unknownModel() external {
        check(!models.exists(WEIGHTS), "unknown");
        vm.expectRevert(abi.encodeWithSelector(IModels.UnknownModel.selector, WEIGHTS));
        models.model(WEIGHTS);
        vm.expectRevert(abi.encodeWithSelector(IModels.UnknownModel.selector, WEIGHTS));
        models.programOf(WEIGHTS);
        vm.expectRevert(abi.encodeWithSelector(IModels.UnknownModel.selector, WEIGHTS));
        models.commitmentsOf(WEIGHTS);
    }

    function test_unknownParent() external {
        IModels.Card memory made = card("child");
        made.parent = WEIGHTS;
        vm.expectRevert(abi.encodeWithSelector(IModels.UnknownParent.selector, WEIGHTS));
        models.register(Programs.small(), WEIGHTS, TOKENIZER, made);
    }

    function test_emptyField() external {
        IModels.Card memory made = card("");
        _refusesEmpty(made, WEIGHTS, TOKENIZER, "name");
        made = card("a");
        made.version = "";
        _refusesEmpty(made, WEIGHTS, TOKENIZER, "version");
        made = card("a");
        made.license = "";
        _refusesEmpty(made, WEIGHTS, TOKENIZER, "license");
        _refusesEmpty(card("a"), 0, TOKENIZER, "weightsRoot");
        _refusesEmpty(card("a"), WEIGHTS, 0, "tokenizerRoot");
        made = card("a");
        (made.licenseUri, made.weightsUri) = ("", "");
        models.register(Programs.small(), WEIGHTS, TOKENIZER, made);
    }

    function test_badProgram() external {
        bytes memory program = bytes.concat(Programs.small(), hex"00");
        vm.expectRevert(
            abi.encodeWithSelector(IModels.BadProgram.selector, NO_ENTRY, "length", program.length, program.length - 1)
        );
        models.register(program, WEIGHTS, TOKENIZER, card("a"));
        vm.expectRevert(abi.encodeWithSelector(IModels.BadProgram.selector, NO_ENTRY, "length", 0, 96));
        models.register("", WEIGHTS, TOKENIZER, card("a"));
        Programs.Fields memory made = Programs.fields();
        made.entries[3].inputs[0] = 3;
        vm.expectRevert(abi.encodeWithSelector(IModels.BadProgram.selector, 3, "input within reach", 3, 3));
        models.register(Programs.encode(made), WEIGHTS, TOKENIZER, card("a"));
    }

    function test_programTooLong() external {
        bytes memory program = Programs.encode(Programs.withAdds(649)); // 96 + 32 * 679 = 21,824 bytes
        bytes32 id = models.register(program, WEIGHTS, TOKENIZER, card("a"));
        same(models.programOf(id), program, "the longest that fits");
        program = Programs.encode(Programs.withAdds(650));
        vm.expectRevert(abi.encodeWithSelector(IModels.ProgramTooLong.selector, program.length, 21_824));
        models.register(program, WEIGHTS, TOKENIZER, card("a"));
    }

    function _refusesEmpty(IModels.Card memory made, bytes32 weights, bytes32 tokenizer, string memory field) private {
        vm.expectRevert(abi.encodeWithSelector(IModels.EmptyField.selector, field));
        models.register(Programs.small(), weights, tokenizer, made);
    }
}
