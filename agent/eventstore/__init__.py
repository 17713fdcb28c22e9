"""What happened, in order; nobody can quietly change it. README.md: the life of an event."""

from agent.lean import without

with without("pandas"), without("numpy"):
    import sqlite_utils  # noqa: F401 - the read model is one of its databases
