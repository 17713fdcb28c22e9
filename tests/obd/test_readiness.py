import pytest

from agent.errors import MalformedInputError
from agent.obd.readiness import calibration, monitors


def test_monitors_of_a_spark_engine_are_told_apart() -> None:
    found = monitors("7E8", bytes.fromhex("8307E504"))
    assert (found.lamp, found.codes) == (True, 3)
    assert found.ready == [
        "misfire",
        "fuel system",
        "components",
        "catalyst",
        "oxygen sensors",
        "oxygen sensor heaters",
        "exhaust gas recirculation or valve timing",
    ]
    assert found.incomplete == ["evaporative system"]


def test_monitors_of_a_compression_engine_have_other_names() -> None:
    found = monitors("7E8", bytes.fromhex("001E4340"))
    assert found.ready == [
        "fuel system",
        "components",
        "hydrocarbon catalyst",
        "nitrogen oxide treatment",
    ]
    assert found.incomplete == ["particulate filter"]
    found = monitors("7E8", bytes.fromhex("006E0000"))
    assert found.incomplete == ["fuel system", "components"]


def test_short_readiness_is_no_readiness() -> None:
    with pytest.raises(MalformedInputError, match="3 arrived"):
        monitors("7E8", bytes(3))


def test_calibration_ids_come_without_their_filling() -> None:
    data = b"\x02" + b"AB-1".ljust(16, b"\0") + b"0123456789ABCDEF"
    assert calibration("7E8", data).ids == ["AB-1", "0123456789ABCDEF"]


@pytest.mark.parametrize("data", [b"", b"\0", b"\x02" + b"A" * 16, b"\x01" + b"\x1b" * 16])
def test_calibration_ids_that_are_not_there_or_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedInputError):
        calibration("7E8", data)
