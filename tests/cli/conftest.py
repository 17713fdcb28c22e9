"""The command line as a person meets it: arguments in, exit code and both outputs out."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import structlog

from agent.cli import main


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on stderr that a refusal is."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("amo-agent: ")
        assert "Traceback" not in self.err
        return lines[0]


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    def call(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        code = left.value.code
        return Result(code if isinstance(code, int) else 1, printed.out, printed.err)

    yield call
    structlog.reset_defaults()  # the log went to where this test listened, and that is closed
