// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {ChallengesBase} from "./challenges/ChallengesBase.sol";
import {Judging} from "./challenges/Judging.sol";
import {Opening} from "./challenges/Opening.sol";
import {Revealing} from "./challenges/Revealing.sol";
import {IClaims} from "./interfaces/IClaims.sol";
import {IFaults} from "./interfaces/IFaults.sol";
import {IInbox} from "./interfaces/IInbox.sol";

/// @title Challenges
/// @dev Nobody owns it and nothing in it can be changed. `claims` may be an address without code yet: it names this contract in its constructor.
contract Challenges is Opening, Revealing, Judging {
    constructor(
        IClaims claims_,
        IInbox inbox_,
        IFaults faults_,
        uint64 budgetSeconds_,
        uint64 graceSeconds_,
        uint64 declarationSeconds_
    ) ChallengesBase(claims_, inbox_, faults_, budgetSeconds_, graceSeconds_, declarationSeconds_) {}
}
