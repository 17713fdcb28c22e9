"""The far side's wire: transactions, the node's RPC, storage, and a node to develop on."""
