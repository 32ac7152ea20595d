// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IClaims} from "../../src/interfaces/IClaims.sol";
import {IDisputes} from "../../src/interfaces/IDisputes.sol";

/// @dev Disputes whose outcome the test decides.
contract TestDisputes is IDisputes {
    bool public open;
    bool public refusing;

    function setOpen(bool open_) external {
        open = open_;
    }

    function setRefusing(bool refusing_) external {
        refusing = refusing_;
    }

    function mayFinalise(bytes32, uint64) external view returns (bool) {
        return !open;
    }

    function fall(IClaims claims, bytes32 claimId) external {
        claims.fall(claimId);
    }

    receive() external payable {
        require(!refusing, "takes nothing");
    }
}
