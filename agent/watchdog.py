"""The supervisor is systemd: how it is told that the agent is ready, lives and stops."""

import os
import socket

import structlog

_log = structlog.get_logger()


class SystemdWatchdog:
    """sd_notify(3) over the socket that systemd names; silent where there is none."""

    def __init__(self, address: str | None = None) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self) -> None:
        self._say(b"READY=1")

    def alive(self) -> None:
        self._say(b"WATCHDOG=1")

    def stopping(self) -> None:
        self._say(b"STOPPING=1")

    def _say(self, message: bytes) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.sendto(message, self._address)
        except OSError as error:
            _log.warning("nobody listens at NOTIFY_SOCKET", reason=str(error))
            self._address = ""
