"""The one thread that seals, so that neither the 10 Hz schedule nor the writer waits for a seal."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent.clock import SECOND, Clock
from agent.errors import AgentError, DiskFullError, StoreError

EVERY_NS: Final = 60 * SECOND
IDLE_WAIT_S: Final = 0.1
"""How long the thread sleeps before it looks at the clock again."""


class SealThread:
    """Calls `seal` every 60 s until it is closed. What ends it is handed to `fail`."""

    def __init__(
        self, seal: Callable[[], object], clock: Clock, fail: Callable[[StoreError], None]
    ) -> None:
        self._seal = seal
        self._clock = clock
        self._fail = fail
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        due_ns = self._clock.mono_ns() + EVERY_NS
        try:
            while not self._closed.wait(IDLE_WAIT_S):
                now_ns = self._clock.mono_ns()
                if now_ns >= due_ns:
                    due_ns = now_ns + EVERY_NS
                    with suppress(DiskFullError):  # the next one covers what this one would
                        self._seal()
        except StoreError as error:
            self._fail(error)
        except AgentError as error:
            self._fail(StoreError(f"the log cannot be sealed: {error}"))
        except Exception as error:  # noqa: BLE001 - whatever it was, a dead sealer is told of
            self._fail(StoreError(f"the sealer stopped: {error!r}"))
