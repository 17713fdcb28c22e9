"""What a figure has to be read with: the machine, the interpreter, the commit."""

import os
import platform
import subprocess
from pathlib import Path


def describe() -> str:
    """One line: processor, cores, system, Python, commit, and whether the tree was changed."""
    python = platform.python_version()
    return f"{_processor()}, {os.cpu_count()} cores, Python {python}, commit {_commit()}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
