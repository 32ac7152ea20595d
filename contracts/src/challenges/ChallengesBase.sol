// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../interfaces/IChallenges.sol";
import {IClaims} from "../interfaces/IClaims.sol";
import {IFaults} from "../interfaces/IFaults.sol";
import {IInbox} from "../interfaces/IInbox.sol";
import {INodeRules} from "../interfaces/INodeRules.sol";
import {Nodes} from "../libraries/Nodes.sol";
import {Payout} from "../libraries/Payout.sol";
import {NodeRules} from "./NodeRules.sol";

/// @title What all parts of the challenges share: configuration, records, states, money
/// @dev The balance of the contract is always: what was paid for the lines, spent or not, with their deposits; the bonds of fallen claims until their settlement
/// (without what the senders of proofs got); and the balances.
abstract contract ChallengesBase is IChallenges {
    using Nodes for Record;

    /// @inheritdoc IChallenges
    IClaims public immutable claims;
    /// @inheritdoc IChallenges
    IInbox public immutable inbox;
    /// @inheritdoc IChallenges
    IFaults public immutable faults;
    /// @inheritdoc IChallenges
    uint64 public immutable budgetSeconds;
    /// @inheritdoc IChallenges
    uint64 public immutable graceSeconds;
    /// @inheritdoc IChallenges
    uint64 public immutable declarationSeconds;

    /// @inheritdoc IChallenges
    INodeRules public immutable rules;

    /// @dev | aliveUntil u40 | pending u32 |, from bit 0 on, of the nodes that are counted: those that can still be open when the claim's window ends. Whatever both
    /// sides do with the others, they have the time for it in the window.
    mapping(bytes32 claimId => uint256) internal _states;
    /// @inheritdoc IChallenges
    mapping(bytes32 line => bytes32) public slotOf;
    /// @inheritdoc IChallenges
    mapping(address account => uint256) public balanceOf;
    /// @inheritdoc IChallenges
    mapping(bytes32 declaration => uint256) public declaredAt;

    uint256 internal constant PENDING_ONE = 1 << 40;
    /// @dev An opening's prepayment is this many times the gas that the reveal takes at most.
    uint256 internal constant GAS_FACTOR = 10;
    /// @dev The deposit of a late opening is the bond divided by this.
    uint256 internal constant DEPOSIT_DIVISOR = 10;

    constructor(
        IClaims claims_,
        IInbox inbox_,
        IFaults faults_,
        uint64 budgetSeconds_,
        uint64 graceSeconds_,
        uint64 declarationSeconds_
    ) {
        if (budgetSeconds_ == 0 || budgetSeconds_ > type(uint32).max) {
            revert BadConfiguration("budgetSeconds", budgetSeconds_);
        }
        // Else an honest claim is delayed by openings without a deposit: the proposer's budget runs past the window.
        if (graceSeconds_ < budgetSeconds_) revert BadConfiguration("graceSeconds", graceSeconds_);
        // Without time for the others the first declaration that is named would count.
        if (declarationSeconds_ == 0 || declarationSeconds_ > type(uint32).max) {
            revert BadConfiguration("declarationSeconds", declarationSeconds_);
        }
        (claims, inbox, faults) = (claims_, inbox_, faults_);
        (budgetSeconds, graceSeconds, declarationSeconds) = (budgetSeconds_, graceSeconds_, declarationSeconds_);
        rules = new NodeRules(claims_, inbox_);
    }

    /// @inheritdoc IChallenges
    function withdraw(address payable to) external {
        if (to == address(0)) revert ZeroReceiver();
        uint256 amountWei = balanceOf[msg.sender];
        if (amountWei == 0) revert NothingToWithdraw(msg.sender);
        balanceOf[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amountWei);
        _send(to, amountWei);
    }

    /// @dev Takes the bonds of fallen claims.
    receive() external payable {
        if (msg.sender != address(claims)) revert NotAuthorised(msg.sender);
    }

    /// @inheritdoc IChallenges
    function lineOf(bytes32 claimId, address owner, uint16 number) external pure returns (bytes32) {
        return Nodes.line(claimId, Nodes.opened(owner, 0, number));
    }

    /// @inheritdoc IChallenges
    function stateOf(bytes32 claimId) external view returns (State memory) {
        (IClaims.Status status, uint64 windowEnd,,,,) = claims.factsOf(claimId);
        uint256 state = _states[claimId];
        return State({
            windowEnd: windowEnd,
            aliveUntil: uint64(_aliveUntil(windowEnd, state)),
            pending: uint32(_pending(state)),
            fallen: status == IClaims.Status.Fallen
        });
    }

    /// @dev The line of a node that is its lowest, and the record's hash.
    function _known(bytes32 claimId, Record memory record) internal view returns (bytes32 line, bytes32 found) {
        line = Nodes.line(claimId, record.times);
        found = record.hash(claimId);
        bytes32 expected = slotOf[line];
        if (expected != found) revert WrongRecord(line, found, expected);
    }

    function _revealed(bytes32 claimId, Record memory record) internal view returns (bytes32 line, bytes32 found) {
        (line, found) = _known(claimId, record);
        if (record.revealedAt() == 0) revert NotRevealed(Nodes.key(line, record.position));
    }

    /// @dev Reverts when the claim can be final.
    function _live(bytes32 claimId, uint256 windowEnd, uint256 state) internal view {
        uint256 last = _aliveUntil(windowEnd, state);
        if (_pending(state) == 0 && block.timestamp > last) {
            revert PastFinality(claimId, uint64(last), block.timestamp);
        }
    }

    function _aliveUntil(uint256 windowEnd, uint256 state) internal pure returns (uint256) {
        uint256 last = uint40(state);
        return last > windowEnd ? last : windowEnd;
    }

    function _pending(uint256 state) internal pure returns (uint256) {
        return uint32(state >> 40);
    }

    function _deposit() internal view returns (uint256) {
        return claims.bondWei() / DEPOSIT_DIVISOR;
    }

    /// @dev What a view answers to the call data that lies between two places in memory; reverts as it does.
    function _view(address to, uint256 from, uint256 end) internal view returns (bytes memory answer) {
        assembly ("memory-safe") {
            let ok := staticcall(gas(), to, from, sub(end, from), 0, 0)
            answer := mload(0x40)
            mstore(answer, returndatasize())
            returndatacopy(add(answer, 0x20), 0, returndatasize())
            if iszero(ok) { revert(add(answer, 0x20), returndatasize()) }
            mstore(0x40, and(add(add(answer, returndatasize()), 0x3f), not(0x1f)))
        }
    }

    function _credit(address account, uint256 amountWei) internal {
        if (amountWei != 0) balanceOf[account] += amountWei;
    }

    function _send(address to, uint256 amountWei) internal {
        if (!Payout.send(to, amountWei)) revert TransferFailed(to, amountWei);
    }
}
