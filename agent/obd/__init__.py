"""From the car's own wires to signals: frames, their description, requests, the simulated car."""
