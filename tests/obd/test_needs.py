import json
from typing import Any

from agent.obd.address import one_ecu
from agent.obd.needs import ecus, set_commands, set_needs
from agent.obd.question import Question
from agent.obd.signalset import SignalSet, signal_set


def command(**other: Any) -> dict[str, Any]:
    signals = [{"id": str(other), "fmt": {"len": 8}}]
    return {"hdr": "7E4", "rax": "7EC", "cmd": {"22": "0101"}, "signals": signals} | other


def the_set(*commands: dict[str, Any]) -> SignalSet:
    found = signal_set(json.dumps({"commands": commands}).encode())
    assert not found.complaints
    return found


def test_only_reading_services_at_addresses_of_diagnostics_are_asked() -> None:
    one = the_set(
        command(),
        command(cmd={"22": "0102"}, freq=7),
        command(hdr="DA10", rax="10"),
        command(cmd={"21": "01"}),
        command(cmd={"21": "0101"}),
        command(cmd={"2E": "F190"}),
        command(cmd={"14": "FFFFFF"}),
        command(eax="2A"),
        command(hdr="123", rax="12B"),
        command(cmd={"22": "010101"}),
        command(cmd={"22": "01"}),
        command(cmd={"22": "F190"}, signals=[{"id": "VIN", "fmt": {"len": 136, "unit": "ascii"}}]),
    )
    found, left_out = set_commands([one], None)
    battery, other = one_ecu("7E4", "7EC"), one_ecu("DA10", "10")
    assert list(found) == [
        Question(0x22, 0x0101, battery),
        Question(0x22, 0x0102, battery),
        Question(0x22, 0x0101, other),
        Question(0x21, 0x01, battery),
    ]
    assert left_out == {
        "service 21, PID 257; at most 3F and 255": 1,
        "service 2E": 1,
        "service 14": 1,
        "extended addressing": 1,
        "hdr 123, rax 12B: neither 700 to 7FF nor DA00 to DAFF": 1,
        "service 22, PID 65793; at most 3F and 65535": 1,
        "service 22 with an identifier of 1 bytes": 1,
        "no number in it": 1,
    }
    assert ecus(found) == [battery, other]
    periods = {need.question: need.period_s for need in set_needs(found)}
    assert periods[Question(0x22, 0x0102, battery)] == 7
    assert {Question(0x19, 0x02, battery), Question(0x19, 0x02, other)} <= periods.keys()


def test_command_of_other_model_years_is_not_asked() -> None:
    one = the_set(command(filter={"from": 2020}))
    assert len(set_commands([one], 2022)[0]) == 1
    for other in (2019, None):
        assert set_commands([one], other) == ({}, {"model year": 1})


def test_two_meanings_of_one_answer_are_both_taken() -> None:
    one = the_set(command(freq=1), command(freq=2))
    [found] = set_commands([one], None)[0].values()
    assert len(found.signals) == 2
