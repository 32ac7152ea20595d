// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title What the inbox says of an input's parameters alone
/// @notice `IInbox.input` reads six slots, this one.
interface IInputParams {
    /// @notice The packed parameters of an input; 0 if there is none.
    function paramsOf(uint256 inputId) external view returns (bytes32 params);
}
