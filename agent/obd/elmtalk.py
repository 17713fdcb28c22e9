"""The dialogue with an ELM327 or STN adapter: a command, what it prints, its prompt.

Echo stays on, against the custom, for it tells two things. A question is carried out only after
the adapter has shown that it has it whole: with two digits lost, `0104`, the engine's load, would
be `04`, clear the codes. And what is printed after the echo belongs to this question, not to an
older one that the adapter was slow with. One without echo is taken as it is, and its first silence
ends the session.
"""

import re
from threading import Event
from typing import Final

import msgspec

from agent.clock import MS, SECOND, Clock
from agent.errors import SourceLostError, UsageError
from agent.obd.elmlink import Link
from agent.obd.elmtext import PROMPT, RESETS, UNKNOWN_COMMAND, printed, searching

RESET_NS: Final = 2 * SECOND
SETTING_NS: Final = SECOND
ECHO_NS: Final = 300 * MS
ECHO_TRIES: Final = 3
BEGIN_NS: Final = 6 * SECOND
SEARCH_NS: Final = 30 * SECOND
"""An ELM327 that tries every protocol in turn takes 10 to 20 s."""
MOST_SILENT: Final = 3
"""Commands without a prompt; that many in a row can be told apart by their echo."""
MOST_BYTES: Final = 16_384
QUIET_SLICES: Final = 3

RESET: Final = "ATZ"
WHO: Final = "ATI"
NEEDED: Final = ("ATL0", "ATS0", "ATH1")
"""No line feeds, no spaces, with identifiers."""
WELCOME: Final = ("ATD1", "ATAT1", "ATST32", "ATSP0")
"""Frame lengths, adaptive timing, at most 200 ms for an ECU, any protocol; clones may lack them."""
SUPPLY: Final = "ATRV"
"""What the adapter measures at its own socket; the car is not asked."""
SETTINGS: Final = frozenset({RESET, WHO, SUPPLY, *NEEDED, *WELCOME})
_TURNS: Final = re.compile(
    r"ATSH(7[0-9A-F]{2}|DA[0-9A-F]{2}F1|DB33F1)|AT(CRA|FCSH)7[0-9A-F]{2}|ATCRA|ATAR"
    r"|ATFCSD300000|ATFCSM[01]"
)
"""To an identifier of diagnostics and back (agent.obd.elmheader); a flow control lets all come."""
_ENTER: Final = "\r"
_SPOIL: Final = "ZZZZZZZZ\r"  # makes of whatever was typed so far a command that is none


class Said(msgspec.Struct, frozen=True):
    """
    octets:  what came after the echo
    whole:   whether the prompt came, too
    asked_ns, took_ns: when the command was carried out; from then to the last line
    """

    octets: bytes
    whole: bool
    asked_ns: int
    took_ns: int


class Dialogue:
    """For one thread. stopping: ends a wait when set.

    services: those that a question may be of; `_write` is the only way out
    """

    def __init__(self, link: Link, clock: Clock, services: frozenset[int], stopping: Event) -> None:
        self._link = link
        self._clock = clock
        self._services = services
        self._stopping = stopping
        self._heard = b""
        self._echoes = False
        self._count = 0
        self._silent = 0
        self._unsure = False
        self._busy_until_ns: int | None = None

    @property
    def echoes(self) -> bool:
        """Whether a command is seen to be whole before it is carried out."""
        return self._echoes

    @property
    def busy(self) -> bool:
        """Whether it was still looking for the bus when it was heard last."""
        return self._busy_until_ns is not None

    def begin(self) -> None:
        """Reset the adapter and tell it how to print. Raises SourceLostError; ends within 8 s."""
        end = self._clock.mono_ns() + BEGIN_NS
        for _ in range(2):  # the first may meet half a command of somebody else
            self._settle()
            banner = self._plain(RESET, RESET_NS)
            if banner is not None and UNKNOWN_COMMAND not in printed(banner).remarks:
                break
        else:
            raise SourceLostError(f"the adapter does not answer {RESET}")
        self._echoes = self._shows_echo()
        for setting in (*NEEDED, *WELCOME):
            if self._clock.mono_ns() > end:
                raise SourceLostError(f"the adapter takes over {BEGIN_NS // SECOND} s to begin")
            said = self.exchange(setting, SETTING_NS)
            if setting in NEEDED and (said is None or b"OK" not in said.octets):
                raise SourceLostError(f"the adapter does not take {setting}")

    def exchange(self, command: str, limit_ns: int, longest_ns: int = 0) -> Said | None:
        """What the adapter prints to a command; None where it did not take it.

        limit_ns: how long to wait for its prompt; longest_ns: where it looks for the bus
        Raises SourceLostError when it is gone, is silent for long or has reset itself.
        """
        last = self._clock.mono_ns() + max(limit_ns, longest_ns)
        if not self._free(last):
            return None
        end = min(self._clock.mono_ns() + limit_ns, last)
        if not self._typed(command, end):
            self._missed()
            return None
        said = self._listen(end, last)
        self._judge(said)
        return said

    def _free(self, end_ns: int) -> bool:
        """Let the adapter finish its search, which a command would interrupt."""
        if self._busy_until_ns is None:
            return True
        while PROMPT not in self._heard:
            now = self._clock.mono_ns()
            if now >= self._busy_until_ns:
                raise SourceLostError(f"the adapter looked for the bus for {SEARCH_NS // SECOND} s")
            if now >= end_ns or self._stopping.is_set():
                return False
            self._hear()
        self._busy_until_ns = None
        return True

    def _typed(self, command: str, end_ns: int) -> bool:
        """Type a command without carrying it out; whether the adapter has it whole.

        Spaces, whose number changes, tell it from the same command some time ago.
        """
        self._heard = b""
        if not self._echoes:
            self._settle()
            self._write(command)
            return True
        if self._unsure:
            self._write(_SPOIL)
        self._unsure = False
        self._count += 1
        spaced = command[:2] + " " * (1 + self._count % MOST_SILENT) + command[2:]
        self._write(spaced)
        while not self._heard.endswith(spaced.encode()):
            if self._clock.mono_ns() >= end_ns or self._stopping.is_set():
                self._unsure = True
                return False
            self._hear()
        return True

    def _listen(self, end_ns: int, last_ns: int) -> Said:
        """Carry out what is typed; wait for the prompt, and longer for a search."""
        start = len(self._heard)
        asked = now = heard = self._clock.mono_ns()
        self._write(_ENTER)
        while PROMPT not in self._heard[start:] and not self._stopping.is_set():
            if now >= (last_ns if searching(self._heard[start:]) else end_ns):
                break
            news = self._hear().strip(b"\r\n> ")
            now = self._clock.mono_ns()
            heard = now if news else heard
        octets, found, _ = self._heard[start:].partition(PROMPT)
        return Said(octets, bool(found), asked, heard - asked)

    def _judge(self, said: Said) -> None:
        """What a missing prompt, or a remark that tells of a reset, means for the session."""
        reset = RESETS.intersection(printed(said.octets).remarks)
        if reset:
            raise SourceLostError(f"the adapter has reset itself: {min(reset)}")
        self._unsure = not said.whole
        if said.whole:
            self._silent = 0
        elif searching(said.octets):
            self._busy_until_ns = self._clock.mono_ns() + SEARCH_NS
            self._heard = b""
        elif not self._stopping.is_set():
            self._missed()

    def _missed(self) -> None:
        self._silent += 1
        if not self._echoes or self._silent >= MOST_SILENT:
            raise SourceLostError(f"the adapter is silent, {self._silent} commands long")

    def _shows_echo(self) -> bool:
        """Whether each character comes back as it is typed, as it does after a reset.

        Raises SourceLostError when some come and others do not.
        """
        self._echoes = True
        seen = False
        for _ in range(ECHO_TRIES):
            taken = self._typed(WHO, self._clock.mono_ns() + ECHO_NS)
            seen = seen or bool(self._heard)
            self._write(_ENTER if taken else _SPOIL)
            self._unsure = not self._wait_for(PROMPT, ECHO_NS)
            if taken:
                return True
        if seen:
            raise SourceLostError("the adapter echoes other characters than it was sent")
        return False

    def _plain(self, command: str, limit_ns: int) -> bytes | None:
        """What came up to the prompt; None when that did not come."""
        self._heard = b""
        self._write(command + _ENTER)
        return self._heard if self._wait_for(PROMPT, limit_ns) else None

    def _wait_for(self, sign: bytes, limit_ns: int) -> bool:
        end = self._clock.mono_ns() + limit_ns
        while sign not in self._heard:
            if self._clock.mono_ns() >= end or self._stopping.is_set():
                return False
            self._hear()
        return True

    def _settle(self) -> None:
        """Read away what is still coming, for a short while."""
        for _ in range(QUIET_SLICES):
            if not self._hear():
                break
        self._heard = b""

    def _hear(self) -> bytes:
        octets = self._link.read()
        self._heard += octets
        if len(self._heard) > MOST_BYTES:
            raise SourceLostError(f"the adapter printed more than {MOST_BYTES} bytes to a command")
        return octets

    def _write(self, text: str) -> None:
        """The only way out: a setting of ours, a question of an allowed service, and their end."""
        word = text.replace(" ", "").removesuffix(_ENTER)
        setting = word in SETTINGS or _TURNS.fullmatch(word)
        if text not in (_ENTER, _SPOIL) and not setting and not self._asks(word):
            raise UsageError(
                f"{word!r} is no question of services "
                f"{' '.join(f'{service:02X}' for service in sorted(self._services))}"
            )
        self._link.write(text.encode())

    def _asks(self, word: str) -> bool:
        digits = word.isalnum() and word.isascii() and all(d in "0123456789ABCDEF" for d in word)
        return digits and len(word) > 1 and int(word[:2], 16) in self._services
