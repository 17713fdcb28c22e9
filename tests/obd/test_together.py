from agent.clock import MS
from agent.obd.together import AHEAD_NS, Together


def learned(*pids: int, size: int = 1, every_ms: int = 50) -> Together:
    """Each asked for twice, a time apart, and answered by one ECU."""
    together = Together()
    for round_ms in (0, every_ms):
        for pid in pids:
            together.asked(pid, round_ms * MS)
    for pid in pids:
        together.learn(pid, {"7E8": size})
    return together


def test_pids_that_will_be_asked_soon_come_along_but_six_at_most() -> None:
    together = learned(*range(1, 12))
    company = together.company(5, 60 * MS)
    assert len(company) == 6
    assert 5 in company
    assert company == sorted(company)


def test_a_pid_whose_time_is_far_stays_out() -> None:
    together = learned(0x0C, 0x0D)
    for now in (0, 5000 * MS):
        together.asked(0x05, now)
    together.learn(0x05, {"7E8": 1})
    together.asked(0x0C, 5050 * MS)
    assert together.company(0x0C, 5060 * MS) == [0x0C, 0x0D]
    late = 10_000 * MS - AHEAD_NS
    assert 0x05 in together.company(0x0C, late)


def test_a_pid_that_nobody_answered_alone_goes_alone() -> None:
    together = learned(0x0C, 0x0D)
    together.learn(0x0D, {})
    together.asked(0x11, 60 * MS)
    assert together.company(0x0C, 60 * MS) == [0x0C]
    assert together.company(0x11, 60 * MS) == [0x11]


def test_number_of_frames_follows_from_the_lengths() -> None:
    together = learned(0x04, 0x05, 0x0D)
    together.learn(0x0C, {"7E8": 2, "7EA": 2})
    assert together.lines([0x04]) == 1
    assert together.lines([0x04, 0x05, 0x0D]) == 1  # 7 bytes
    assert together.lines([0x04, 0x05, 0x0D, 0x0C]) == 2 + 1  # 10 bytes, and 4 of the other ECU
    assert together.lines([0x04, 0x2F]) is None


def test_values_of_an_answer_are_taken_apart_in_any_order() -> None:
    together = learned(0x05, 0x0D)
    together.learn(0x0C, {"7E8": 2})
    answer = bytes.fromhex("410D320C1AF8055A")
    found = together.split([0x05, 0x0C, 0x0D], "7E8", answer)
    assert found == {0x0D: b"\x32", 0x0C: b"\x1a\xf8", 0x05: b"\x5a"}


def test_answer_that_is_not_made_of_just_these_is_refused_whole() -> None:
    for answer in (
        "41055A",  # one is missing
        "41055A0D",
        "41055A0D3200",
        "41055A0D320532",
        "41055A0C1AF8",
        "61055A0D32",
        "7F0112",
        "41",
    ):
        assert learned(0x05, 0x0D).split([0x05, 0x0D], "7E8", bytes.fromhex(answer)) is None


def test_pid_that_spoils_the_answer_is_asked_alone_from_then() -> None:
    together = learned(0x04, 0x05, 0x0D)
    assert together.split([0x04, 0x05, 0x0D], "7E8", bytes.fromhex("410400AA055A0D32")) is None
    assert together.company(0x05, 60 * MS) == [0x05, 0x0D]
    assert together.company(0x04, 60 * MS) == [0x04]


def test_after_three_silences_nothing_goes_together() -> None:
    together = learned(0x05, 0x0D)
    for _ in range(2):
        together.refused()
        assert len(together.company(0x05, 60 * MS)) == 2
    together.refused()
    assert together.company(0x05, 60 * MS) == [0x05]


def test_what_was_forgotten_is_learned_alone_again() -> None:
    together = learned(0x05, 0x0D)
    together.forget([0x05])
    assert together.company(0x05, 60 * MS) == [0x05]
    assert together.lines([0x05]) is None
    together.learn(0x05, {"7E8": 1})
    assert together.company(0x05, 60 * MS) == [0x05, 0x0D]
