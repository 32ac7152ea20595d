//! The types that the challenge contracts share, as ABI. Witnesses of a family are beside its module.
#![allow(missing_docs)] // the macro's; the Solidity interfaces document the fields

use alloy_sol_types::sol;

sol! {
    /// `IVouchers.Run`.
    #[derive(Debug, PartialEq, Eq)]
    struct Run {
        uint32 nPrompt;
        uint32 nTokens;
        uint8 finish;
        bytes32 tokensRoot;
        bytes32 offsetsRoot;
        bytes32 textRoot;
        uint64 textLength;
        int64 score;
        bool greedy;
    }

    /// `IFaults.Job`.
    #[derive(Debug, PartialEq, Eq)]
    struct Job {
        uint256 inputId;
        bytes32 scoreRoot;
        Run[] runs;
        bytes32[] traceRoots;
    }

    /// `IFaults.Node`.
    #[derive(Debug, PartialEq, Eq)]
    struct Node {
        uint256 position;
        bytes32 value;
    }

    /// `IFaults.Case`.
    #[derive(Debug, PartialEq, Eq)]
    struct Case {
        uint64 epoch;
        bytes32 modelId;
        Job job;
        Node node;
        Node parent;
    }

    /// `IFaults`.
    interface IFaults {
        function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool);
    }

    // `Openings`: what witnesses open.

    /// A leaf with the siblings from it upwards, to the root that the witness's type states.
    #[derive(Debug, PartialEq, Eq)]
    struct Leaf {
        bytes data;
        bytes32[] path;
    }

    /// The root of a trace's row with its path to the trace root.
    #[derive(Debug, PartialEq, Eq)]
    struct Row {
        bytes32 root;
        bytes32[] path;
    }
}
