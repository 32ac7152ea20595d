// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Openings} from "../../libraries/Openings.sol";
import {Encoded} from "./Encoded.sol";

/// @notice Witness of fault 64 (step): an element of a trace node's leaf differs, or the leaf has a wrong shape.
struct StepWitness {
    uint32 row;
    uint32 step;
    uint32 leaf; // from 0 for the step's first
    uint32 lane; // place in the leaf: an element; of a quantised leaf 256 + b is the scale of block b; SHAPE for its shape
    Openings.Leaf claimed; // to the node
    Openings.Row trace; // empty where no input is of the trace: embed, SHAPE
    Openings.Leaf[] inputs; // for each input the leaves that the element needs, under one path to the row's root; embed: the token's, to tokensRoot
    Openings.Leaf[] weights; // the leaves of the weights that it needs, under one path to the weights root; at most one range
}

/// @dev A lane that no leaf has.
uint32 constant SHAPE = type(uint32).max;

/// @title Reading witnesses of fault 64
library StepWitnesses {
    function read(bytes calldata witness) internal pure returns (StepWitness calldata w) {
        uint256 start = Encoded.start(witness, 8);
        assembly ("memory-safe") {
            w := start
        }
    }
}
