"""An AMO node that holds the keys of all its validators, for development and tests.

It answers as the reference node does (amod v1.9.1 at protocols 4 to 6 over Tendermint 0.33.5):
the same result codes and texts, the same state tree and application hash, headers and commits
that a light client accepts. Not here: drafts, penalties, hibernation, websockets, peers.
"""
