// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFees} from "./interfaces/IFees.sol";
import {ParamsWord} from "./libraries/ParamsWord.sol";
import {Payout} from "./libraries/Payout.sol";

/// @title Flat fees
/// @notice `price = base + perRun * runs + perPayloadByte * bytes`, fixed for the deployment. Money goes in with an input
/// and leaves by `withdraw` only: the balance of this contract is always the open escrows plus the withdrawable balances.
contract FlatFees is IFees {
    enum State {
        None,
        Open,
        Settled,
        Refunded
    }

    struct Escrow {
        address payer;
        uint88 amountWei;
        State state;
    }

    address public immutable inbox;
    address public immutable claims;
    uint256 public immutable baseWei;
    uint256 public immutable perRunWei;
    uint256 public immutable perPayloadByteWei;

    /// @notice Sum of the open escrows.
    uint256 public escrowedWei;

    mapping(uint256 inputId => Escrow) private _escrows;
    /// @inheritdoc IFees
    mapping(address account => uint256) public balanceOf;

    constructor(address inbox_, address claims_, uint256 baseWei_, uint256 perRunWei_, uint256 perPayloadByteWei_) {
        inbox = inbox_;
        claims = claims_;
        baseWei = baseWei_;
        perRunWei = perRunWei_;
        perPayloadByteWei = perPayloadByteWei_;
    }

    /// @inheritdoc IFees
    function quote(bytes32, bytes32 params, uint256 payloadBytes) public view returns (uint256 priceWei) {
        return baseWei + perRunWei * ParamsWord.runs(params) + perPayloadByteWei * payloadBytes;
    }

    /// @inheritdoc IFees
    function escrow(uint256 inputId, address payer, bytes32 modelId, bytes32 params, uint256 payloadBytes)
        external
        payable
    {
        if (msg.sender != inbox) revert NotAuthorised(msg.sender);
        Escrow storage entry = _escrows[inputId];
        if (entry.state != State.None) revert AlreadyEscrowed(inputId);
        uint256 priceWei = quote(modelId, params, payloadBytes);
        if (msg.value < priceWei) revert FeeTooLow(msg.value, priceWei);
        if (priceWei > type(uint88).max) revert AmountTooLarge(priceWei);

        (entry.payer, entry.amountWei, entry.state) = (payer, uint88(priceWei), State.Open);
        escrowedWei += priceWei;
        emit Escrowed(inputId, payer, priceWei);
        uint256 surplusWei = msg.value - priceWei;
        if (surplusWei > 0) {
            balanceOf[payer] += surplusWei;
            emit Surplus(inputId, payer, surplusWei);
        }
    }

    /// @inheritdoc IFees
    function settle(uint256 inputId, address server) external {
        uint256 amountWei = _close(inputId, State.Settled);
        balanceOf[server] += amountWei;
        emit Settled(inputId, server, amountWei);
    }

    /// @inheritdoc IFees
    function refund(uint256 inputId) external {
        uint256 amountWei = _close(inputId, State.Refunded);
        address payer = _escrows[inputId].payer;
        balanceOf[payer] += amountWei;
        emit Refunded(inputId, payer, amountWei);
    }

    /// @inheritdoc IFees
    function withdraw(address payable to) external {
        if (to == address(0)) revert ZeroReceiver();
        uint256 amountWei = balanceOf[msg.sender];
        if (amountWei == 0) revert NothingToWithdraw(msg.sender);
        balanceOf[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amountWei);
        if (!Payout.send(to, amountWei)) revert TransferFailed(to, amountWei);
    }

    /// @inheritdoc IFees
    function escrowOf(uint256 inputId) external view returns (address payer, uint256 amountWei, bool open) {
        Escrow storage entry = _escrows[inputId];
        return (entry.payer, entry.amountWei, entry.state == State.Open);
    }

    /// @dev Ends an escrow, once; only for the claims contract.
    function _close(uint256 inputId, State state) private returns (uint256 amountWei) {
        if (msg.sender != claims) revert NotAuthorised(msg.sender);
        Escrow storage entry = _escrows[inputId];
        if (entry.state == State.None) revert NotEscrowed(inputId);
        if (entry.state != State.Open) revert AlreadySettled(inputId);
        entry.state = state;
        amountWei = entry.amountWei;
        escrowedWei -= amountWei;
    }
}
