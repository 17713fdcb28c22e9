"""Descriptions of CAN frames, as data: `importlib.resources.files("agent.dbc")`."""
