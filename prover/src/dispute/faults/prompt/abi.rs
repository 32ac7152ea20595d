//! Witnesses of `PromptFaults`, as ABI.
#![allow(missing_docs)] // the macro's; the Solidity structs document the fields

use alloy_sol_types::sol;

sol! {
    /// `Openings.Leaf`.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Leaf {
        bytes data;
        bytes32[] path;
    }

    /// `TokenTable.Tokenizer`.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Tokenizer {
        uint32 kind;
        uint32 flags;
        uint32 bos;
        uint32 vocabulary;
        bytes32 tableRoot;
        bytes32 mergesRoot;
        uint32 mergeCount;
    }

    /// `TokenTable.Entry`.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Entry {
        uint8 kind;
        uint32 left;
        uint32 right;
        uint32 rank;
        bytes piece;
        bytes32[] path;
    }

    /// `PromptPlaces.Leaves`.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Leaves {
        uint32[] indices;
        Leaf[] leaves;
    }

    /// `PromptFaults.TokenWitness`.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct TokenWitness {
        Tokenizer tokenizer;
        uint32 slot;
        bytes starts;
        Leaf prompt;
        Leaf tokens;
        Entry entry;
        Leaves payload;
        uint32 which;
        Entry other;
    }

    /// `PromptFaults.PairWitness`.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct PairWitness {
        Tokenizer tokenizer;
        uint32 slot;
        bytes starts;
        Leaf prompt;
        Leaf tokens;
        Leaf nextTokens;
        Entry[] left;
        Entry[] right;
        uint32 merge;
        Leaf merges;
    }

    /// `PromptFaults.MalformedWitness`.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct MalformedWitness {
        Tokenizer tokenizer;
        bytes contents;
        uint32 slot;
        Leaves payload;
        Entry entry;
    }
}
