"""Blocks as Tendermint 0.33 makes, encodes, hashes and signs them."""
