"""Tokens to test with: SoftHSM2 behind PKCS#11, swtpm as a TPM 2.0. Both are real programs."""

import os
import shutil
import subprocess
import time
import traceback
from pathlib import Path

import pytest

PIN = "4711-secret"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def pin_file(folder: Path, pin: str = PIN) -> Path:
    path = folder / "pin"
    path.touch(mode=0o600)
    path.write_text(pin, encoding="utf-8")
    return path


def all_that_shows(error: BaseException | None) -> str:
    """An error, what caused it, and every variable of ours that a traceback of them can show."""
    shown = ""
    while error is not None:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        ours = [frame for frame in frames if "/agent/" in frame.f_code.co_filename]
        assert ours
        shown += repr(error) + "".join(repr(frame.f_locals) for frame in ours)
        error = error.__cause__ or error.__context__
    return shown


class SoftHsm:
    """A folder of tokens; "car" is one of them."""

    def __init__(self, folder: Path) -> None:
        need("softhsm2-util")
        self.folder = folder
        self.pin = pin_file(folder)
        self.module = next((path for path in MODULES if Path(path).exists()), MODULES[0])
        self._tokens = folder / "tokens"
        self._tokens.mkdir()
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {self._tokens}\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(configuration)  # the library, in this process, reads it
        self.add("car")

    def add(self, label: str) -> None:
        pins = ("--pin", PIN, "--so-pin", "so-secret")
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, *pins]
        subprocess.run(command, check=True, capture_output=True, timeout=20)

    def uri(self, label: str, *, token: str = "car", pin: Path | None = None) -> str:
        where = f"module-path={self.module}&pin-source={pin or self.pin}"
        return f"pkcs11:token={token};object={label}?{where}"

    def unplug(self) -> None:
        self._tokens.rename(self.folder / "away")
        self._tokens.mkdir()

    def plug(self) -> None:
        if (self.folder / "away").exists():
            self._tokens.rmdir()
            (self.folder / "away").rename(self._tokens)


class SwTpm:
    """A TPM on a socket, with a state that outlives the process."""

    def __init__(self, folder: Path) -> None:
        need("swtpm", "tpm2_sign")
        self.pin = pin_file(folder)
        self._folder = folder
        self._used = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.plug()

    @property
    def tcti(self) -> str:
        return f"swtpm:path={self._folder / 's'}"

    def handle(self) -> str:
        """The number of a key that nobody used yet."""
        self._used += 1
        return f"0x8101{self._used:04x}"

    def uri(self, handle: str, *, counter: str | None = None, pin: Path | None = None) -> str:
        more = "" if counter is None else f"&counter={counter}"
        return f"tpm:handle={handle}?tcti={self.tcti}&pin-source={pin or self.pin}{more}"

    def tool(self, program: str, *arguments: str) -> str:
        """What somebody does to the TPM besides us."""
        command = [program, "-T", self.tcti, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, timeout=20)
        return done.stdout.decode()

    def plug(self) -> None:
        if self._process is not None:
            return
        socket = self._folder / "s"
        socket.unlink(missing_ok=True)
        server = ("--server", f"type=unixio,path={socket}")
        control = ("--ctrl", f"type=unixio,path={socket}.ctrl")
        start = ("--tpmstate", f"dir={self._folder}", "--flags", "not-need-init,startup-clear")
        self._process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", *server, *control, *start],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert self._process.poll() is None, "swtpm did not start"
            assert time.monotonic() < deadline, "swtpm did not listen within 10 s"
            time.sleep(0.01)

    def unplug(self) -> None:
        """Without a word of warning, as when the power goes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
