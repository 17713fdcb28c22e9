"""A process that appends and says what was acknowledged, until somebody ends it.

Arguments: state directory, and the largest file the kernel lets it write, in bytes (0: any).
"""

import resource
import sys
from pathlib import Path

from agent.errors import StoreError
from agent.eventstore.sqlite import SqliteLog
from tests.eventstore.conftest import draft


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word).replace("\n", " ") for word in words) + "\n")
    sys.stdout.flush()


def main(state: Path, limit: int) -> None:
    log = SqliteLog.open(state, create=True)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit or hard, hard))
    while True:
        head = log.head()
        drafts = [draft(head.seq + i, payload=bytes(700)) for i in range(1 + head.seq % 7)]
        try:
            first = log.append(drafts)
        except StoreError as error:
            assert log.head() == head
            say("refused", error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            limit = 0
            continue
        say(first + len(drafts) - 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
