// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Asks an execution client everything that clients of a chain rely on. `Probe.json` is its build:
/// solc 0.8.37, optimiser with 200 runs, EVM version osaka.
contract Probe {
    event ValueSet(address indexed who, uint256 indexed value, bytes note);

    error Refused(uint256 code, string why);

    uint256 public value;
    mapping(uint256 => uint256) public table;

    constructor(uint256 initial) payable {
        value = initial;
    }

    function set(uint256 newValue, bytes calldata note) external payable {
        value = newValue;
        emit ValueSet(msg.sender, newValue, note);
    }

    function fill(uint256 from, uint256 count) external {
        for (uint256 i = from; i < from + count; i++) table[i] = i + 1;
    }

    function clear(uint256 from, uint256 count) external {
        for (uint256 i = from; i < from + count; i++) delete table[i];
    }

    function failWithText() external pure {
        revert("no such luck");
    }

    function failWithError(uint256 code) external pure {
        revert Refused(code, "because");
    }

    function overflow(uint256 x) external pure returns (uint256) {
        return x + type(uint256).max;
    }

    function burn(uint256 rounds) external returns (bytes32 h) {
        for (uint256 i = 0; i < rounds; i++) h = keccak256(abi.encode(h, i));
        value = uint256(h);
    }

    /// Needs far more gas than it uses: the inner call keeps back 1/64.
    function nested(uint256 depth) external returns (uint256) {
        if (depth == 0) {
            require(gasleft() > 50_000, "too little gas");
            value += 1;
            return value;
        }
        return this.nested(depth - 1);
    }

    function surroundings()
        external
        view
        returns (uint256 number, uint256 time, uint256 random, uint256 fee, uint256 chain, address coinbase)
    {
        return (block.number, block.timestamp, block.prevrandao, block.basefee, block.chainid, block.coinbase);
    }

    function hashOf(uint256 number) external view returns (bytes32 byOpcode, bytes32 byHistory) {
        byOpcode = blockhash(number);
        (bool ok, bytes memory out) = 0x0000F90827F1C53a10cb7A02335B175320002935.staticcall(abi.encode(number));
        if (ok && out.length == 32) byHistory = abi.decode(out, (bytes32));
    }

    function leadingZeros(uint256 x) external pure returns (uint256 n) {
        assembly {
            n := clz(x)
        }
    }

    function destroy(address payable to) external {
        selfdestruct(to);
    }

    receive() external payable {}
}
