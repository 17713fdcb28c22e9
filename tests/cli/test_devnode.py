"""`amo-agent devnode` as a person meets it: what it is told, and what it says when it serves."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.amo.devnode.faults import FAULTS
from tests.cli.conftest import Cli

SERVING = re.compile(r"serving: rpc (http://\S+) storage (http://\S+) id 1\n")


@contextmanager
def served(*arguments: str) -> Iterator[tuple[str, str]]:
    """URLs of its node and its storage; ended by SIGTERM, with exit code 0."""
    command = [sys.executable, "-m", "agent", "devnode", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            said = SERVING.fullmatch(running.stdout.readline())
            assert said is not None
            yield said[1], said[2]
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(10) == 0


def test_help_lists_every_fault(cli: Cli) -> None:
    shown = cli("devnode", "--help").out
    for name, fault in FAULTS.items():
        assert f"{name}: {fault.words}" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fault", "nope"), "fault 'nope' is none of late, 5xx"),
        (("--fault", "absent-validator"), "absent-validator with 1 validators"),
        (("--validators", "5"), "5 is not in the range 1<=x<=4"),
        (("--storage-form", "M"), "'M' is not one of 'strict', 'R', 'N'"),
        (("--genesis", "g", "--validator-key", "k", "--validators", "2"), "its own validators"),
    ],
)
def test_option_that_does_not_fit_is_refused_in_one_line(
    arguments: tuple[str, ...], words: str, cli: Cli
) -> None:
    result = cli("devnode", "--port", 0, "--storage-port", 0, *arguments)
    assert result.code == 2
    assert words in result.complaint


def test_four_validators_a_form_and_a_fault_are_what_is_served(tmp_path: Path) -> None:
    arguments = ("--validators", "4", "--storage-form", "N", "--fault", "absent-validator")
    ports = ("--port", "0", "--storage-port", "0", "--state", str(tmp_path))
    with served(*arguments, *ports) as (rpc, storage):
        with urllib.request.urlopen(f"{rpc}/validators?height=1") as answer:
            assert json.load(answer)["result"]["total"] == "4"
        with urllib.request.urlopen(f"{rpc}/commit?height=1") as answer:
            signed = json.load(answer)["result"]["signed_header"]["commit"]["signatures"]
        assert sorted(each["block_id_flag"] for each in signed) == [1, 2, 2, 2]
        with urllib.request.urlopen(storage) as answer:
            assert json.load(answer)["name"] == "AMO Storage API"
