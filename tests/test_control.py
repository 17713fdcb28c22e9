"""Commands reach the agent by a socket that takes little, and from its own user or root alone."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from agent import control
from agent.control import ASKED_BYTES, METHODS, MOST, Control, asked, name_of
from agent.errors import AgentError, NotEnoughFundsError, RemoteError, SealError, UsageError
from agent.eventstore.state import EVENTS
from agent.outgoing import Sent

NOBODY = 65534
SENT = Sent("AB", 7, "proven")


class Deeds:
    """What was done; each method does as its name says."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []
        self.held = asyncio.Event()

    def methods(self) -> dict[str, Callable[..., object]]:
        return {
            "grant": self.grant,
            "refuse": self.refuse,
            "revoke": self.revoke,
            "policy": self.policy,
            "balance": self.balance,
        }

    async def grant(self, *arguments: str) -> Sent:
        self.done.append(arguments)
        return SENT

    async def refuse(self, *_: str) -> None:
        raise SealError("no such key")

    async def revoke(self, *_: str) -> None:
        raise NotEnoughFundsError("3 mote, 5 are due", code=4)

    async def policy(self) -> str:
        raise ZeroDivisionError("secret words")

    async def balance(self) -> None:
        await self.held.wait()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / EVENTS).touch()
    return tmp_path


@asynccontextmanager
async def serving(state: Path) -> AsyncIterator[Deeds]:
    deeds = Deeds()
    served = Control(state, deeds.methods())  # type: ignore[arg-type]  # of several types
    await served.open()
    try:
        yield deeds
    finally:
        deeds.held.set()
        served.close()


async def said(state: Path, line: bytes) -> bytes:
    """The answer to a line as it stands."""
    reader, writer = await asyncio.open_unix_connection(name_of(state))
    try:
        with suppress(ConnectionError):  # it may be cut off before all of it is taken
            writer.write(line)
            await writer.drain()
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_what_is_asked_is_done_and_its_answer_has_its_type(state: Path) -> None:
    async with serving(state) as deeds:
        assert await asked(state, "grant", "AB", "CD") == SENT
    assert deeds.done == [("AB", "CD")]


@pytest.mark.parametrize(
    ("method", "kind", "words"),
    [
        ("refuse", SealError, "no such key"),
        ("revoke", NotEnoughFundsError, "3 mote, 5 are due"),
        ("policy", UsageError, "a fault of the agent: ZeroDivisionError"),
        ("history", UsageError, "does not do 'history'"),
    ],
)
async def test_errors_come_back_as_they_were_and_faults_without_their_words(
    state: Path, method: str, kind: type[AgentError], words: str
) -> None:
    async with serving(state):
        with pytest.raises(kind, match=words) as raised:
            await asked(state, method, *["x"] * METHODS[method].takes)
    assert "secret" not in str(raised.value)
    assert getattr(raised.value, "code", 4) == 4


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{\n",
        b"[]\n",
        b'{"method":"grant","arguments":["AB"]}\n',
        b'{"method":"grant","arguments":["AB",5]}\n',
        b'{"method":"grant","arguments":["AB","CD"],"more":1}\n',
        b'{"method":"__class__","arguments":[]}\n',
        b'{"method":"grant"',
        b"\xff\xfe\n",
    ],
)
async def test_garbage_is_answered_with_an_error_and_does_nothing(state: Path, line: bytes) -> None:
    async with serving(state) as deeds:
        answer = msgspec.json.decode(await said(state, line))
        assert set(answer) == {"error", "message", "code"}
        assert await asked(state, "grant", "AB", "CD") == SENT
    assert deeds.done == [("AB", "CD")]


async def test_a_line_without_end_is_not_kept(state: Path) -> None:
    async with serving(state) as deeds:
        answer = await said(state, b"x" * (4 * ASKED_BYTES))
        assert not answer or b'"error"' in answer
        assert await asked(state, "grant", "AB", "CD") == SENT
    assert len(deeds.done) == 1


async def test_more_connections_than_a_few_are_turned_away(state: Path) -> None:
    async with serving(state) as deeds:
        waiting = [
            asyncio.create_task(said(state, b'{"method":"balance","arguments":[]}\n'))
            for _ in range(MOST)
        ]
        await asyncio.sleep(0.1)
        assert await said(state, b'{"method":"balance","arguments":[]}\n') == b""
        deeds.held.set()
        assert await asyncio.gather(*waiting) == [b'{"result":null}\n'] * MOST


async def test_where_no_agent_runs_the_connection_is_refused(state: Path) -> None:
    with pytest.raises(ConnectionRefusedError):
        await asked(state, "balance")


async def test_without_an_answer_nobody_is_told_that_nothing_was_done(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transfer that is asked for again would be paid twice."""
    monkeypatch.setattr(control, "WAIT_S", 0.1)
    async with serving(state):
        with pytest.raises(RemoteError, match="balance may still be done"):
            await asked(state, "balance")


async def test_each_state_directory_has_one_agent(state: Path, tmp_path: Path) -> None:
    async with serving(state):
        with pytest.raises(UsageError, match="commands cannot reach it"):
            await Control(state / ".." / state.name, {}).open()
        another = Control(tmp_path / "other", {})
        await another.open()
        another.close()


async def test_another_user_is_not_heard(state: Path) -> None:
    """Only root can become another user."""
    if os.geteuid() != 0:
        pytest.skip("root may write everywhere, and become another user; this is not root")
    async with serving(state) as deeds:
        child = os.fork()
        if child == 0:
            os._exit(_as_nobody(state))
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not deeds.done


def _as_nobody(state: Path) -> int:
    """0 where nothing was answered."""
    os.setuid(NOBODY)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(name_of(state))
        with suppress(OSError):
            line.sendall(b'{"method":"grant","arguments":["AB","CD"]}\n')
            return len(line.recv(100))
    return 0
