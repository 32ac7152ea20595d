// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {ISwornRecipient} from "../../src/interfaces/ISwornRecipient.sol";
import {IVouchers} from "../../src/interfaces/IVouchers.sol";

/// @title Recipients that misbehave

/// @dev Takes nothing.
contract Refuser is ISwornRecipient {
    function onSwornResponse(Response calldata, bytes calldata) external pure {
        revert("no");
    }
}

/// @dev Refuses until told otherwise.
contract Moody is ISwornRecipient {
    bool public willing;
    uint256 public received;
    bytes32 public lastText; // its hash

    function setWilling(bool willing_) external {
        willing = willing_;
    }

    function onSwornResponse(Response calldata, bytes calldata text) external {
        require(willing, "not now");
        ++received;
        lastText = keccak256(text);
    }
}

/// @dev Returns half a megabyte, whoever calls.
contract Bomb {
    fallback() external payable {
        assembly ("memory-safe") {
            return(mload(0x40), 500000)
        }
    }
}

/// @dev Takes as much memory as the one above and returns nothing.
contract Dud {
    fallback() external payable {
        assembly ("memory-safe") {
            mstore8(add(mload(0x40), 499999), 0)
        }
    }
}

/// @dev Reverts with as much as its gas pays for.
contract RevertBomb {
    fallback() external payable {
        assembly ("memory-safe") {
            revert(mload(0x40), 400000)
        }
    }
}

/// @dev Burns all gas that it gets.
contract Burner {
    fallback() external payable {
        assembly ("memory-safe") {
            invalid()
        }
    }
}

/// @dev Withdraws again while it is being paid.
contract Grabber {
    uint256 public tried;
    address private _from;

    function grab(address from) external {
        _from = from;
        (bool ok,) = from.call(abi.encodeWithSignature("withdraw(address)", address(this)));
        require(ok, "first withdrawal");
    }

    receive() external payable {
        ++tried;
        (bool ok,) = _from.call(abi.encodeWithSignature("withdraw(address)", address(this)));
        require(!ok, "second withdrawal");
    }
}

/// @dev Executes other vouchers, and its own once more, from inside its callback.
contract Reenterer is ISwornRecipient {
    IVouchers private immutable _vouchers;
    bytes[] private _calls;
    uint256 public received;
    uint256 public succeeded;
    bytes4 public lastError;
    bool public failAfterwards;

    constructor(IVouchers vouchers) {
        _vouchers = vouchers;
    }

    function prepare(bytes calldata call_) external {
        _calls.push(call_);
    }

    function setFailAfterwards(bool fail) external {
        failAfterwards = fail;
    }

    function onSwornResponse(Response calldata, bytes calldata) external {
        ++received;
        for (uint256 i = 0; i < _calls.length; ++i) {
            (bool ok, bytes memory answer) = address(_vouchers).call(_calls[i]);
            if (ok) ++succeeded;
            else lastError = bytes4(answer);
        }
        require(!failAfterwards, "as told");
    }
}

/// @dev Counts the gas that its callback gets.
contract GasMeter is ISwornRecipient {
    uint256 public gasAtEntry;

    function onSwornResponse(Response calldata, bytes calldata) external {
        gasAtEntry = gasleft();
    }
}
