"""The tree over the chain: Merkle tree, tiles, signed notes, keys and the clerk who keeps them."""
