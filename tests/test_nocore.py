"""RT-66: a process with keys in its memory leaves none of it in a core file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TELL = (
    "import ctypes, resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0],"
    " ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE, linux/prctl.h
)


def run(code: str) -> str:
    arguments = [sys.executable, "-c", code]
    return subprocess.check_output(arguments, cwd=ROOT, text=True).strip()


def test_no_core_is_allowed_and_no_other_process_may_look_in() -> None:
    told = run(f"from agent.nocore import leave_no_core; leave_no_core(); {TELL}")
    assert told == "0 0"
    assert run(TELL).endswith(" 1"), "as the kernel has it where nobody forbids it"


def dumps(folder: Path, arguments: list[str], begun: Callable[[], bool]) -> bool:
    """Whether a program that may leave a core, and is killed by SIGQUIT when begun, does so."""
    allowed = ["sh", "-c", 'ulimit -c unlimited && exec "$0" "$@"', sys.executable, *arguments]
    child = subprocess.Popen(allowed, env={**os.environ, "PYTHONPATH": str(ROOT)})
    while not begun() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGQUIT)
    _, status = os.waitpid(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    (folder / "core").unlink(missing_ok=True)
    assert child.returncode == -signal.SIGQUIT
    return os.WCOREDUMP(status)


def test_rt_66_the_service_leaves_no_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the kernel puts a core
    sign = tmp_path / "sign"
    plain = f"import pathlib, time; pathlib.Path({str(sign)!r}).touch(); time.sleep(20)"
    if not dumps(tmp_path, ["-c", plain], sign.exists):
        pytest.skip("no program can leave a core on this machine: nothing to see")
    state = tmp_path / "state"
    (tmp_path / "agent.toml").write_text(f'state = "{state}"\n[[bus]]\nuri = "virtual:nocore"\n')

    service = ["-m", "agent", "run", "--config", str(tmp_path / "agent.toml")]

    assert not dumps(tmp_path, service, (state / "keys" / "segments.db").exists)
