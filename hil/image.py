"""The disk of the machine under test: Debian, the agent with its locked dependencies, the guest.

Debian is unpacked once for each list of packages, the disk made once for each state of the
tree; both lie in hil/.cache. No loop device and no mount is needed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / "hil" / ".cache"

SUITE = "bookworm"
PYTHON = "311"
"""Version of the suite's python3, as pip writes it."""
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "udev",
    "kmod",
    "iproute2",
    "can-utils",
    "python3",
    "linux-image-amd64",
)
PLATFORMS = (
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_5_x86_64",
    "manylinux1_x86_64",
)
DISK_SIZE = "3G"
TOOLS = ("qemu-system-x86_64", "mmdebstrap", "mke2fs", "apt-config", "systemctl", "tar")
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
"""mke2fs lies where only root looks by default."""

AGENT = "opt/amo-agent"
SOURCES = ("agent", "asn1", "dbc", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
UNITS = {
    "systemd/amo-agent.service": "etc/systemd/system/amo-agent.service",
    "systemd/80-can0.network": "etc/systemd/network/80-can0.network",
    "systemd/90-amo-agent.conf": "etc/sysctl.d/90-amo-agent.conf",
    "hil/guest.service": "etc/systemd/system/guest.service",
    "hil/guest.py": "opt/guest.py",
}
TEXTS = {
    "etc/hostname": "bench\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/resolv.conf": "",
}
"""Written anew: the archive has those of the computer that made it."""
ENABLED = ("guest.service", "systemd-networkd.service")
COMMAND = f"""#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/{AGENT}")
from agent.cli import main

sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine starts from. It is never written to."""

    disk: Path
    kernel: Path
    initrd: Path


def missing() -> str | None:
    """What this computer lacks to build and start the machine, in words; None when nothing."""
    lacking = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    if os.geteuid() != 0:
        return "not root: the files of the machine's disk have owners"
    return None


def build() -> Image:
    """The image of this tree; from the cache where nothing changed."""
    CACHE.mkdir(exist_ok=True)
    debian = _debian()
    folder = CACHE / f"disk-{_digest([debian.name.encode(), *_tree()])}"
    if not folder.exists():
        for old in CACHE.glob("disk-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            _make(debian, Path(scratch))
            (Path(scratch) / "ready").rename(folder)
    return Image(folder / "disk.img", folder / "vmlinuz", folder / "initrd.img")


def _debian() -> Path:
    archive = CACHE / f"debian-{_digest([SUITE.encode(), *(p.encode() for p in PACKAGES)])}.tar"
    if not archive.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            settings = Path(scratch) / "apt.conf"
            settings.write_text(_apt_settings(), encoding="utf-8")
            fresh = Path(scratch) / "debian.tar"
            options = (f"--aptopt={settings}", f"--include={','.join(PACKAGES)}")
            _run(
                "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", *options, SUITE, fresh
            )
            fresh.rename(archive)
    return archive


def _apt_settings() -> str:
    """How this computer reaches a Debian archive: proxies and the like, not its sources."""
    dump = subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
    ).stdout
    kept = ("Acquire::http", "Acquire::Check-", "Acquire::Retries", "Acquire::ForceIPv")
    return "".join(line + "\n" for line in dump.splitlines() if line.startswith(kept))


def _make(debian: Path, scratch: Path) -> None:
    root, ready = scratch / "root", scratch / "ready"
    root.mkdir()
    ready.mkdir()
    # /dev is the kernel's own; making device nodes is not allowed everywhere
    _run("tar", "-xf", debian, "-C", root, "--numeric-owner", "--exclude=./dev/*")
    _install_agent(scratch, root)
    _install_files(root)
    for name in ("vmlinuz", "initrd.img"):
        (found,) = (root / "boot").glob(f"{name}-*")
        shutil.copy(found, ready / name)
    _run("mke2fs", "-q", "-t", "ext4", "-d", root, ready / "disk.img", DISK_SIZE)


def _install_agent(scratch: Path, root: Path) -> None:
    source = scratch / "source"
    source.mkdir()
    for name in SOURCES:  # a copy: a build leaves its traces in the folder it runs in
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "install", "-qq", "--no-compile")
    target = ("--target", root / AGENT)
    tags = ["--implementation=cp", f"--python-version={PYTHON}"]
    tags += [f"--platform={platform}" for platform in PLATFORMS]
    locked = ("--require-hashes", "--only-binary=:all:", "-r", ROOT / "requirements.txt")
    _run(*pip, *target, *tags, *locked)
    _run(*pip, *target, "--no-deps", "--no-build-isolation", source)
    # emulated, compiling takes longer than the service may take to start
    _run("chroot", root, "python3", "-m", "compileall", "-q", f"/{AGENT}")
    command = root / "usr/bin/amo-agent"
    command.write_text(COMMAND, encoding="utf-8")
    command.chmod(0o755)


def _install_files(root: Path) -> None:
    for source, target in UNITS.items():
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, root / target)
    for target, text in TEXTS.items():
        (root / target).write_text(text, encoding="utf-8")
    descriptions = root / "usr/share/amo-agent/dbc"
    shutil.copytree(ROOT / "dbc", descriptions, ignore=shutil.ignore_patterns("*.py", "__*"))
    for unit in ENABLED:
        _run("systemctl", f"--root={root}", "enable", "--quiet", unit)


def _tree() -> Iterable[bytes]:
    """Everything of this tree that the disk depends on, in a fixed order."""
    for name in (*SOURCES, "requirements.txt", "hil/image.py", *UNITS):
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix().encode()
                yield path.read_bytes()


def _digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, env=os.environ | {"PATH": PATH})
