// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title What an input costs and who gets it
/// @notice The seam for the market: the inbox and the claims only know this.
interface IFees {
    /// @notice Price of an input in wei.
    function quote(bytes32 modelId, bytes32 params, uint256 payloadBytes) external view returns (uint256 priceWei);
    /// @notice Takes `msg.value` for an input; called by the inbox once per input. Reverts when it is below the quote; what is above stays withdrawable by the payer.
    function escrow(uint256 inputId, address payer, bytes32 modelId, bytes32 params, uint256 payloadBytes)
        external
        payable;
    /// @notice Pays an answered input to who served it; called by `Claims` after finality, once per input.
    function settle(uint256 inputId, address server) external;
    /// @notice Makes an unanswered input's escrow withdrawable by its payer; called by `Claims`, once per input.
    function refund(uint256 inputId) external;
    /// @notice An input's escrow: who paid it, how much, and whether it is neither settled nor refunded yet.
    function escrowOf(uint256 inputId) external view returns (address payer, uint256 amountWei, bool open);
    /// @notice What an account may withdraw.
    function balanceOf(address account) external view returns (uint256 wei_);
    /// @notice Pays the caller's balance out.
    function withdraw(address payable to) external;

    event Escrowed(uint256 indexed inputId, address indexed payer, uint256 amountWei);
    /// @notice Paid above the price; withdrawable by the payer at once.
    event Surplus(uint256 indexed inputId, address indexed payer, uint256 amountWei);
    event Settled(uint256 indexed inputId, address indexed server, uint256 amountWei);
    event Refunded(uint256 indexed inputId, address indexed payer, uint256 amountWei);
    event Withdrawn(address indexed account, address indexed to, uint256 amountWei);

    error FeeTooLow(uint256 sentWei, uint256 quotedWei);
    error NotAuthorised(address caller);
    error AlreadyEscrowed(uint256 inputId);
    error NotEscrowed(uint256 inputId);
    error AlreadySettled(uint256 inputId);
    error AmountTooLarge(uint256 amountWei);
    error ZeroReceiver();
    error NothingToWithdraw(address account);
    error TransferFailed(address to, uint256 amountWei);
}
