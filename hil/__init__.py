"""The loop: the agent as installed, on a machine of our own making with a kernel that has CAN."""
