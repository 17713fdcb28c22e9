"""Inside the machine: runs the steps one after the other and writes one JSON line for each.

Usage: guest.py STEPS.json LINE. Each step is {"name", "command", "limit_s"}; each result
{"name", "exit", "out", "err", "seconds"}. A step over its limit ends with exit code 124.
"""

import json
import subprocess
import sys
import time
import tty
from pathlib import Path

OVER_LIMIT = 124  # as timeout(1) has it


def run(step: dict[str, str | float]) -> dict[str, str | float]:
    begun = time.monotonic()
    done = subprocess.run(
        ["timeout", str(step["limit_s"]), "bash", "-c", str(step["command"])],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd="/job",
    )
    return {
        "name": step["name"],
        "exit": done.returncode,
        "out": done.stdout,
        "err": done.stderr,
        "seconds": round(time.monotonic() - begun, 1),
    }


def main(steps: str, line: str) -> None:
    with Path(line).open("wb") as out:
        tty.setraw(out.fileno())
        for step in json.loads(Path(steps).read_text(encoding="utf-8")):
            out.write(json.dumps(run(step)).encode() + b"\n")
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
