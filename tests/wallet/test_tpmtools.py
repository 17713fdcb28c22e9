"""The programs of tpm2-tools see a PIN in their own memory alone, and their absence has a name."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from agent.errors import ConfigError, SealError
from agent.wallet.token import create_key, open_key
from tests.tokens import PIN, SwTpm, pin_file

SPY = """#!/bin/sh
{ tr '\\0' '\\n' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ; } >>"$(dirname "$0")/seen"
exec %s "$@"
"""


def test_no_argument_and_no_environment_has_the_pin(
    swtpm: SwTpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both programs that get a PIN, looked at where any process could look."""
    for tool in ("tpm2_create", "tpm2_sign"):
        spy = tmp_path / tool
        spy.write_text(SPY % shutil.which(tool))
        spy.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    create_key(swtpm.uri(swtpm.handle())).sign(b"message")
    seen = (tmp_path / "seen").read_text()
    assert "tpm2_create" in seen
    assert "tpm2_sign" in seen
    assert "file:/dev/fd/" in seen
    assert PIN not in seen
    assert PIN.encode().hex() not in seen


@pytest.mark.parametrize("pin", ["hex:00", "str:a", "file:/etc/passwd", "session:0", "ключ", " "])
def test_a_pin_is_taken_as_it_is_written(swtpm: SwTpm, tmp_path: Path, pin: str) -> None:
    """tpm2-tools read "hex:", "str:" and "file:" as something else than a PIN."""
    uri = swtpm.uri(swtpm.handle(), pin=pin_file(tmp_path, pin))
    key = create_key(uri)
    assert open_key(uri).public == key.public


def test_without_tpm2_tools_what_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="install the Debian package tpm2-tools"):
        open_key("tpm:handle=0x81010001")


def test_a_machine_without_a_tpm_says_so(swtpm: SwTpm) -> None:
    del swtpm  # only that its programs are there
    with pytest.raises(SealError, match="Could not load tcti") as caught:
        open_key("tpm:handle=0x81010001?tcti=device:/nowhere/tpmrm0")
    assert "\n" not in str(caught.value)
