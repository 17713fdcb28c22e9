"""tools/verify_log.py by itself: Python alone is enough, and no file makes it fall over."""

import ctypes
import itertools
import json
import random
import re
import shutil
import subprocess
import sys
from hashlib import sha3_256
from pathlib import Path

import apsw
import cbor2
import msgspec
import pytest
import zstandard

from agent.errors import MalformedInputError
from agent.eventstore import note
from agent.eventstore.signature import signed_by
from agent.wallet.keys import FileKey
from tests.data.make_golden_log import DEVICE, SEALED, SEALED_FLOOR
from tests.eventstore.conftest import tampering
from tests.eventstore.verifiers import INTACT, Found, Known, by_tool
from tools import verify_log

TABLES = ["log", "block", "body", "pruned", "tile", "seal"]
TOOL = Path(verify_log.__file__)
FORMAT = Path(__file__).parent.parent / "docs" / "formats" / "log.md"
KEYS = Known(SEALED_FLOOR, DEVICE.public)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """Seals over 308, 501 and 602 events; blocks 2 to 4 pruned; 604 events in 10 blocks."""
    return Path(shutil.copy(SEALED, tmp_path / "sealed.db"))


def run(path: Path, *statements: str) -> None:
    with tampering(path) as connection:
        for sql in statements:
            connection.execute(sql)


def tool(*words: object) -> subprocess.CompletedProcess[str]:
    """As somebody runs it who has Python and nothing else."""
    command = [sys.executable, "-I", "-S", str(TOOL), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_python_alone_is_enough_for_everything_there_is_in_a_log() -> None:
    done = tool(SEALED, "--json", "--floor", SEALED_FLOOR, "--device", DEVICE.public.hex())
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr, found["verdict"]) == (0, "", "intact")
    assert (found["events"], found["blocks"], found["pruned"]) == (604, 10, 3)
    assert (found["seals"], found["sealed"], found["device"]) == (3, 602, DEVICE.public.hex())


def test_exit_codes_are_those_of_every_command(sealed: Path, tmp_path: Path) -> None:
    assert (tool(sealed).returncode, tool(sealed).stderr) == (0, "")
    (tmp_path / "text.db").write_text("no log")
    wrong = (
        *((tmp_path / "text.db",), (tmp_path / "none.db",), (tmp_path,), ()),
        *((sealed, "--floor", tmp_path / "none"), (sealed, "--floor", sealed)),
        *((sealed, "--device", "04"), (sealed, "--device", ""), (sealed, "--no-such")),
    )
    for words in wrong:
        done = tool(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert "Traceback" not in done.stderr
        assert done.stderr
    run(sealed, "DELETE FROM seal WHERE no = 2")
    done = tool(sealed)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "tampered at sequence 309: seal 2 has another row, no, prev\n"


def test_rt_21_what_a_file_says_of_itself_reaches_no_terminal(sealed: Path) -> None:
    """Names in a schema may hold control characters; SQLite puts them into its messages."""
    with tampering(sealed) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        evil = "CREATE TABLE \x1b[2Jtile(\u202e"
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'tile'", (evil,))
    done = tool(sealed)
    assert done.returncode == 1
    assert done.stdout.isascii()
    assert done.stdout.rstrip("\n").isprintable()


def test_rt_21_no_garbage_ends_with_anything_but_a_verdict(sealed: Path) -> None:
    raw, rng = sealed.read_bytes(), random.Random(21)
    for number in range(150):
        page = rng.randrange(len(raw) // 4096) * 4096
        keep = 100 if page == 0 else 0
        garbage = rng.choice((rng.randbytes(4096), b"\xff" * 4096, bytes(4096)))[keep:]
        sealed.write_bytes(raw[: page + keep] + garbage + raw[page + 4096 :])
        found = by_tool(sealed, KEYS)
        assert found.word in {"tampered", "damaged", "intact"}, number
        assert found != INTACT or page == 3 * 4096, number


def test_digest_of_the_schema_is_that_of_the_format_page() -> None:
    page = FORMAT.read_text(encoding="utf-8")
    shown, never = re.findall(r"```sql\n(.*?)\n```", page, re.DOTALL)
    no_update, no_delete = never.split("\n\n")
    statements = shown.split("\n\n")
    for template, tables in ((no_update, TABLES), (no_delete, [*TABLES[:2], *TABLES[3:]])):
        statements += [
            template.replace(" T_", f" {table}_").replace(" ON T", f" ON {table}")
            for table in tables
        ]
    digest = sha3_256()
    for sql in statements:
        _, kind, name, *_ = sql.replace("(", " ").split()
        table = name if kind == "TABLE" else sql.split(" ON ")[1].split()[0]
        digest.update(b"".join(t.encode() + b"\0" for t in (kind.lower(), name, table, sql)))
    assert digest.hexdigest() == verify_log.SCHEMA
    assert verify_log.SCHEMA in page


def content_of(frame: bytes) -> bytes | None:
    """None where it is refused."""
    try:
        return verify_log.decompressed(frame, ctypes.CDLL("libzstd.so.1"))
    except ValueError:
        return None


def test_frame_is_whole_alone_and_bounded_or_refused() -> None:
    body = random.Random(3).randbytes(1000) * 20
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(body)
    limit = verify_log.MAX_BODY
    assert content_of(frame) == body
    assert content_of(zstandard.ZstdCompressor().compress(bytes(limit))) == bytes(limit)
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    for bad in (
        *(frame[:size] for size in range(0, len(frame), 61)),
        *(frame + b"\0", frame + frame, skipped + frame, frame + skipped, body[:100]),
        zstandard.ZstdCompressor().compress(bytes(limit + 1)),
        zstandard.ZstdCompressor(write_content_size=False).compress(body),
        frame[:-1] + bytes([frame[-1] ^ 1]),
    ):
        assert content_of(bad) is None


def test_signatures_are_judged_as_by_a_library() -> None:
    """Whole, changed, with a high s, with r and s out of range, of a key not on the curve."""
    rng = random.Random(256)
    order = verify_log.N
    for number in range(12):
        key = FileKey(rng.randbytes(31) + b"\1", protected=False)
        message = rng.randbytes(number * 7)
        whole = key.sign(message)
        assert verify_log.signed(key.public, message, whole)
        s = int.from_bytes(whole[32:], "big")
        high = whole[:32] + (order - s).to_bytes(32, "big")
        tries = [(key.public, message, high), (key.public, message + b"x", whole)]
        for value in (0, 1, order - 1, order, 2**256 - 1):
            raw = value.to_bytes(32, "big")
            tries += [
                (key.public, message, raw + whole[32:]),
                (key.public, message, whole[:32] + raw),
            ]
        for at in rng.sample(range(64), 8):
            tries.append((key.public, message, flipped(whole, at)))
        for at in rng.sample(range(65), 8):
            tries.append((flipped(key.public, at), message, whole))
        for public, told, signature in tries:
            expected = signed_by(public, told, signature)
            assert verify_log.signed(public, told, signature) == expected
            assert not expected
    assert not verify_log.signed(b"\4" + bytes(64), b"", whole)


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :]


def test_rt_30_note_in_other_bytes_is_refused_by_both_decoders(sealed: Path) -> None:
    with apsw.Connection(str(sealed)) as connection:
        raw = connection.execute("SELECT note FROM seal WHERE no = 2").get
    connection.close()
    found, said = verify_log.read_note(raw), note.decode(raw)
    for name in ("no", "log", "boot", "head", "prev", "root", "size", "device", "counter"):
        assert found[name] == getattr(said, name)
    rng = random.Random(30)
    longer = raw.replace(b"\x62no\x02", b"\x62no\x18\x02")
    tries = [
        *(b"", raw + b"\0", raw[:-1], raw + raw, b"\xbf" + raw[1:] + b"\xff", longer),
        *(b"\xb8\x0f" + raw[1:], raw.replace(b"\x61v\x01", b"\x61v\xf5")),
        raw.replace(b"\x61v\x01", b"\x61v\xfb" + bytes(8)),
        raw.replace(b"\x68firmware\x631.0", b"\x68firmware\x62\xc3\xa9"),
        raw.replace(b"\x68firmware\x631.0", b"\x68firmware\x79\x10\x00" + b"x" * 4096),
    ]
    assert len(set(tries)) == len(tries)
    assert raw not in tries
    tries += [flipped(raw, at) for at in rng.sample(range(len(raw)), 200)]
    for data in tries:
        assert bool(verify_log.read_note(data)) == (decoded(data) is not None), data


def test_numbers_and_texts_of_a_note_are_read_in_every_length(sealed: Path) -> None:
    with apsw.Connection(str(sealed)) as connection:
        said = note.decode(connection.execute("SELECT note FROM seal WHERE no = 2").get)
    connection.close()
    edges = {edge + near for edge in (0, 24, 2**8, 2**16, 2**32, 2**63) for near in (-1, 0, 1)}
    tried = 0
    for value, name in itertools.product(edges, ("no", "size", "boot", "t", "counter", "clock")):
        for number in (value, -value) if name == "t" else (value,):
            if not -(2**63) <= number < 2**64:
                continue
            data = cbor2.dumps(_fields(said) | {name: number}, canonical=True)
            fits = decoded(data) is not None
            assert bool(verify_log.read_note(data)) == fits, (name, number)
            assert not fits or verify_log.read_note(data).get(name, number) == number
            tried += fits
    for length in (0, 23, 24, 255, 256, 3000, 4000):
        data = cbor2.dumps(_fields(said) | {"firmware": "x" * length}, canonical=True)
        assert bool(verify_log.read_note(data)) == (decoded(data) is not None), length
    assert verify_log.read_note(note.encode(msgspec.structs.replace(said, counter=None)))
    assert tried > 60


def _fields(said: note.Note) -> dict[str, object]:
    return {name: getattr(said, name) for name in said.__struct_fields__}


def decoded(data: bytes) -> note.Note | None:
    try:
        return note.decode(data)
    except MalformedInputError:
        return None


@pytest.mark.parametrize(
    ("sql", "seq"),
    [
        ("UPDATE pruned SET nodes = zeroblob(length(nodes)) WHERE no = 3", 1),
        ("UPDATE pruned SET nodes = zeroblob(64) WHERE no = 2", 8),
        ("UPDATE pruned SET nodes = substr(nodes, 65) WHERE no = 3", 9),
        ("UPDATE pruned SET nodes = CAST(nodes || nodes AS BLOB) WHERE no = 2", 8),
        ("UPDATE pruned SET no = 9 WHERE no = 4", 309),
        ("DELETE FROM pruned WHERE no = 2", 8),
        ("INSERT INTO pruned SELECT 5, nodes FROM pruned WHERE no = 2", 310),
        ("INSERT INTO pruned SELECT 12, nodes FROM pruned WHERE no = 2", 605),
        ("INSERT INTO body SELECT 12, data FROM body WHERE no = 1", 605),
        ("UPDATE block SET n = 299 WHERE no = 3", 9),
        ("UPDATE block SET n = 0 WHERE no = 3", 9),
        ("UPDATE block SET n = 70000 WHERE no = 3", 9),
        ("UPDATE block SET head_after = zeroblob(64) WHERE no = 3", 1),
    ],
)
def test_changed_place_of_a_pruned_block_is_found(sealed: Path, sql: str, seq: int) -> None:
    run(sealed, sql)
    assert by_tool(sealed) == Found("tampered", seq)
