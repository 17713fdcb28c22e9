"""From the car's own wires to signals: frames, their description, requests, the simulated car."""

from agent.lean import without

with without("asammdf"):
    import can  # noqa: F401 - cantools loads it in any case
