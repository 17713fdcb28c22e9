"""Does the log end where it is known to have ended?

A log without its last blocks is a shorter log that holds. What lies beside it tells: the floor, and
the number of the next seal key, which is never more than one ahead of the last seal. Only the ends
are looked at, so that a start takes the same time whatever the log's size.
"""

from pathlib import Path

from agent.errors import LogCorruptError, MalformedInputError
from agent.events import LogChecked, TailLost
from agent.eventstore import chain, floor, note
from agent.eventstore.floor import Floor
from agent.eventstore.note import Note
from agent.eventstore.reader import LogReader


def check_end(
    reader: LogReader, floor_file: Path, next_seal: int | None
) -> tuple[LogChecked, TailLost | None]:
    """What a start says of the log, and what it says first where the tail is lost.

    next_seal: number of the seal key; None where there is none for this log.
    Raises LogCorruptError as `sealed_end` does, StoreError.
    """
    broken = ""
    try:
        known = floor.read(floor_file)
    except MalformedInputError as error:
        known, broken = None, str(error)
    found = reader.head().seq
    lost, told = lost_tail(reader, known, next_seal)
    if lost is not None:
        return LogChecked("tail-lost", told, lost.expected_seq, found), lost
    word, reason = _verdict(reader, known, next_seal, broken)
    return LogChecked(word, reason, found if known is None else known.head.seq, found), None


def lost_tail(
    reader: LogReader, known: Floor | None, next_seal: int | None = None
) -> tuple[TailLost | None, str]:
    """What is missing at the end of a log, and how that is known, in one line.

    Raises LogCorruptError as `sealed_end` does, StoreError.
    """
    sealed, end = sealed_end(reader), reader.head()
    seals = 0 if sealed is None else sealed.no
    expected = end.seq if known is None else known.head.seq
    cause, told = _loss(reader, known, seals)
    if not cause and next_seal is not None and next_seal > seals + 1:
        cause = "rolled-back"
        told = f"the log has {seals} seals; the next key is that of seal {next_seal}"
    return (TailLost(expected, end.seq, cause), told) if cause else (None, "")


def sealed_end(reader: LogReader) -> Note | None:
    """The note of the last seal; None where there is none.

    Raises LogCorruptError when it is not a note of this log, or not of events that are there.
    """
    seal = reader.last_seal()
    if seal is None:
        return None
    try:
        found = note.decode(seal.note)
    except MalformedInputError as error:
        raise LogCorruptError(f"seal {seal.no}: {error}") from error
    if (found.no, found.log) != (seal.no, reader.log_id):
        raise LogCorruptError(f"seal {seal.no} is seal {found.no} of log {found.log.hex()}")
    if _hash_at(reader, found.size) != found.head:
        raise LogCorruptError(f"seal {seal.no} is over {found.size} events that are not these")
    return found


def _loss(reader: LogReader, known: Floor | None, seals: int) -> tuple[str, str]:
    """Cause and how it is known, of what the floor alone tells; empty where nothing is lost."""
    if known is None:
        return "", ""
    floor_seq, end_seq = known.head.seq, reader.head().seq
    if known.log_id != reader.log_id:
        return "unknown", f"the floor is that of log {known.log_id.hex()}, event {floor_seq}"
    if seals < known.seals:
        return "rolled-back", f"the log has {seals} seals; the floor knows {known.seals}"
    if end_seq < floor_seq:
        return "cut", f"the log ends at event {end_seq}; the floor is at {floor_seq}"
    if _hash_at(reader, floor_seq) != known.head.hash:
        return "rolled-back", f"event {floor_seq} is not the one that the floor knows"
    return "", ""


def _verdict(
    reader: LogReader, known: Floor | None, next_seal: int | None, broken: str
) -> tuple[str, str]:
    begun, sealed = reader.head().seq > 0, reader.last_seal() is not None
    found = []
    if sealed and next_seal is None:
        found.append(("key-lost", "there is no key for the next seal; another one is made"))
    if not sealed and begun and known is None and next_seal is None and not broken:
        found.append(("unsealed", "the log is from before there were seals; its keys are made"))
    elif known is None and (begun or broken):
        found.append(("floor-lost", broken or "there is no floor beside the log"))
    if found:
        return found[0][0], "; ".join(reason for _, reason in found)
    return ("intact", "nothing is missing at its end") if begun else ("new", "a log begins")


def _hash_at(reader: LogReader, seq: int) -> bytes | None:
    """h(seq), where a block ends with that event; None anywhere else."""
    if seq == 0:
        return chain.genesis(reader.log_id, reader.note)
    block = next(reader.blocks(reader.block_with(seq)), None)
    if block is None or seq != block.first_seq + block.n - 1:
        return None
    return block.head_after
