"""A sealed payload opens as what it was sealed as, and one may be shown without its neighbours."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl import bindings

from agent.clock import ManualClock
from agent.errors import SealError
from agent.privacy import Level
from agent.wallet import seal
from agent.wallet.keys import FileKey
from agent.wallet.seal import Sealer, Unsealer, open_with_event_key
from agent.wallet.segments import SegmentKeys

ROOT = Path(__file__).parents[2]
LOG = bytes(range(32))
KIND = "vin-read/1"
PLAIN = b"\x92\xb1JH4KA7561PC008269\xa4can0"


class OneKey:
    """A segment whose key everybody knows."""

    def current(self, level: Level) -> tuple[int, bytes]:
        return 7, bytes((level,)) * 32


@pytest.fixture
def segments(tmp_path: Path, owner: FileKey) -> Iterator[SegmentKeys]:
    with SegmentKeys(tmp_path / "segments.db", owner.public, ManualClock()) as keys:
        yield keys


def test_a_payload_comes_back(segments: SegmentKeys, owner: FileKey) -> None:
    sealed = Sealer(segments, LOG).seal(Level.LV1, KIND, PLAIN)
    assert Unsealer(owner, segments.store, LOG).open(Level.LV1, KIND, sealed) == PLAIN


def test_nothing_of_the_payload_shows_but_its_length(segments: SegmentKeys) -> None:
    sealed = Sealer(segments, LOG).seal(Level.LV1, KIND, PLAIN)
    assert len(sealed) == len(PLAIN) + seal.OVERHEAD == len(PLAIN) + 45
    assert not any(PLAIN[i : i + 4] in sealed for i in range(len(PLAIN) - 3))


def test_rt_61_two_equal_payloads_are_sealed_differently(segments: SegmentKeys) -> None:
    sealer = Sealer(segments, LOG)
    one, other = (sealer.seal(Level.LV2, KIND, PLAIN)[5:] for _ in range(2))
    assert not any(one[i : i + 8] in other for i in range(len(one) - 7))


def test_rt_62_no_nonce_comes_twice_though_time_and_store_are_turned_back(
    tmp_path: Path, owner: FileKey
) -> None:
    path = tmp_path / "segments.db"
    SegmentKeys(path, owner.public, ManualClock()).close()
    before, seen = path.read_bytes(), []
    for _ in range(5):
        path.write_bytes(before)
        with SegmentKeys(path, owner.public, ManualClock()) as keys:
            sealer = Sealer(keys, LOG)
            seen += [seal.split(sealer.seal(Level.LV1, KIND, PLAIN)) for _ in range(200)]
    assert {one.segment for one in seen} == {1}
    assert len({one.nonce for one in seen}) == len({one.ciphertext for one in seen}) == 1000


def test_rt_62_randomness_that_stands_still_seals_nothing(
    segments: SegmentKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer = Sealer(segments, LOG)
    monkeypatch.setattr("secrets.token_bytes", bytes)
    sealer.seal(Level.LV1, KIND, PLAIN)
    for _ in range(2):
        with pytest.raises(SealError, match="24 bytes came twice"):
            sealer.seal(Level.LV1, KIND, b"another")


ONCE = """
import sys
from pathlib import Path
from agent.clock import ManualClock
from agent.privacy import Level
from agent.wallet import curve
from agent.wallet.keys import FileKey
from agent.wallet.seal import Sealer
from agent.wallet.segments import SegmentKeys
owner = FileKey(curve.new_scalar(), protected=False)
with SegmentKeys(Path(sys.argv[1]), owner.public, ManualClock()) as keys:
    Sealer(keys, bytes(32)).seal(Level.LV1, "vin-read/1", b"x")
"""


def test_rt_62_key_and_nonce_are_the_kernels_and_wait_until_it_is_seeded(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace(1) is not installed")
    trace, store = tmp_path / "trace", tmp_path / "segments.db"
    strace = ["strace", "-f", "-qq", "-e", "trace=getrandom", "-o", str(trace)]
    done = subprocess.run(
        [*strace, sys.executable, "-c", ONCE, str(store)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "PTRACE" in done.stderr:
        pytest.skip(f"no process may be traced here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    drawn = re.findall(r"(\d+), (\w+)\) = \1\n", trace.read_text(errors="replace"))
    assert drawn[-2:] == [("32", "0"), ("24", "0")]  # the last two of the process, both may block


def test_rt_64_it_does_not_open_as_another_level_kind_or_log(
    segments: SegmentKeys, owner: FileKey
) -> None:
    sealer = Sealer(segments, LOG)
    sealer.seal(Level.LV2, KIND, PLAIN)
    sealed = sealer.seal(Level.LV1, KIND, PLAIN)
    unsealer = Unsealer(owner, segments.store, LOG)
    with pytest.raises(SealError):
        unsealer.open(Level.LV2, KIND, sealed)
    with pytest.raises(SealError):
        unsealer.open(Level.LV1, "vin-read/2", sealed)
    with pytest.raises(SealError):
        Unsealer(owner, segments.store, LOG[::-1]).open(Level.LV1, KIND, sealed)


def test_only_the_owner_opens_it(segments: SegmentKeys, buyer: FileKey) -> None:
    sealed = Sealer(segments, LOG).seal(Level.LV1, KIND, PLAIN)
    with pytest.raises(SealError):
        Unsealer(buyer, segments.store, LOG).open(Level.LV1, KIND, sealed)


def test_each_changed_byte_is_found(segments: SegmentKeys, owner: FileKey) -> None:
    good = Sealer(segments, LOG).seal(Level.LV1, KIND, PLAIN)
    unsealer = Unsealer(owner, segments.store, LOG)
    key = unsealer.event_key(Level.LV1, good)
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x01
        with pytest.raises(SealError):
            unsealer.open(Level.LV1, KIND, bytes(bad))
        with pytest.raises(SealError):
            open_with_event_key(key, Level.LV1, KIND, bytes(bad), log_id=LOG)


def test_a_payload_cut_anywhere_is_refused(segments: SegmentKeys, owner: FileKey) -> None:
    good = Sealer(segments, LOG).seal(Level.LV1, KIND, PLAIN)
    unsealer = Unsealer(owner, segments.store, LOG)
    for length in range(len(good)):
        with pytest.raises(SealError):
            unsealer.open(Level.LV1, KIND, good[:length])


def test_a_disclosed_event_key_opens_its_event_and_no_other(
    segments: SegmentKeys, owner: FileKey
) -> None:
    sealer, unsealer = Sealer(segments, LOG), Unsealer(owner, segments.store, LOG)
    one, other = (sealer.seal(Level.LV1, KIND, PLAIN) for _ in range(2))
    key = unsealer.event_key(Level.LV1, one)
    assert open_with_event_key(key, Level.LV1, KIND, one, log_id=LOG) == PLAIN
    with pytest.raises(SealError):
        open_with_event_key(key, Level.LV1, KIND, other, log_id=LOG)
    with pytest.raises(SealError):
        open_with_event_key(key[:31], Level.LV1, KIND, one, log_id=LOG)


def test_a_destroyed_key_erases_what_it_sealed_even_where_it_was_opened_before(
    segments: SegmentKeys, owner: FileKey
) -> None:
    sealer, unsealer = Sealer(segments, LOG), Unsealer(owner, segments.store, LOG)
    erased = sealer.seal(Level.LV1, KIND, PLAIN)
    kept = sealer.seal(Level.LV2, KIND, PLAIN)
    assert unsealer.open(Level.LV1, KIND, erased) == PLAIN
    segments.destroy(1, 1, Level.LV1)
    with pytest.raises(SealError, match="destroyed"):
        unsealer.open(Level.LV1, KIND, erased)
    assert unsealer.open(Level.LV2, KIND, kept) == PLAIN
    later = sealer.seal(Level.LV1, KIND, PLAIN)
    assert unsealer.open(Level.LV1, KIND, later) == PLAIN


def test_events_of_many_segments_open_in_any_order(segments: SegmentKeys, owner: FileKey) -> None:
    sealer, unsealer = Sealer(segments, LOG), Unsealer(owner, segments.store, LOG)
    sealed = []
    for number in range(seal._REMEMBERED + 3):
        sealed.append(sealer.seal(Level.LV2, KIND, b"%d" % number))
        segments.rotate()
    for number, one in reversed([*enumerate(sealed)]):
        assert unsealer.open(Level.LV2, KIND, one) == b"%d" % number


def test_the_bytes_are_those_of_the_documented_format() -> None:
    """Opened here from docs/formats/sealed-event.md alone."""
    sealed = Sealer(OneKey(), LOG).seal(Level.LV1, KIND, PLAIN)
    assert sealed[:5] == b"\x01\x00\x00\x00\x07"
    nonce, ciphertext = sealed[5:29], sealed[29:]
    key = hashlib.blake2b(nonce + b"event", key=b"\x01" * 32, digest_size=32).digest()
    aad = sealed[:5] + b"\x20" + LOG + b"\x01" + KIND.encode()
    opened = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, aad, nonce, key)
    assert opened == PLAIN


def test_a_payload_sealed_before_is_still_read() -> None:
    golden = bytes.fromhex(
        "0100000007333333333333333333333333333333333333333333333333c89773b96b48777db49a8a"
        "9f4ef5a5b999b8525d99cf5627bd55f72751cb719d92fa1e2fa36fa00c"
    )
    made = seal.seal_with(b"\x01" * 32, 7, b"\x33" * 24, PLAIN, seal.bound(LOG, Level.LV1, KIND))
    assert made == golden
    key = seal.event_key(b"\x01" * 32, b"\x33" * 24)
    assert open_with_event_key(key, Level.LV1, KIND, golden, log_id=LOG) == PLAIN


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([Level.LV1, Level.LV2]), st.text(max_size=20))
def test_every_payload_of_every_kind_comes_back(plain: bytes, level: Level, kind: str) -> None:
    sealed = Sealer(OneKey(), LOG).seal(level, kind, plain)
    key = seal.event_key(bytes((level,)) * 32, sealed[5:29])
    assert open_with_event_key(key, level, kind, sealed, log_id=LOG) == plain


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(SealError):
        open_with_event_key(bytes(32), Level.LV1, KIND, data, log_id=LOG)


def test_no_error_shows_the_payload(segments: SegmentKeys, owner: FileKey) -> None:
    sealed = Sealer(segments, LOG).seal(Level.LV1, KIND, PLAIN)
    with pytest.raises(SealError) as caught:
        Unsealer(owner, segments.store, LOG).open(Level.LV1, "x", sealed)
    assert "JH4K" not in f"{caught.value!r} {caught.value.__cause__!r}"
