"""Part I packed by hand, from the table of its bits alone: a second opinion on the codec."""

CORE = {
    "msgCnt": (7, 0),
    "id": (32, 0),
    "secMark": (16, 0),
    "lat": (31, -900000000),
    "long": (32, -1799999999),
    "elev": (16, -4096),
    "semiMajor": (8, 0),
    "semiMinor": (8, 0),
    "orientation": (16, 0),
    "transmission": (3, 0),
    "speed": (13, 0),
    "heading": (15, 0),
    "angle": (8, -126),
    "accelLong": (12, -2000),
    "accelLat": (12, -2000),
    "accelVert": (8, -127),
    "yaw": (16, -32767),
    "wheelBrakes": (5, 0),
    "traction": (2, 0),
    "abs": (2, 0),
    "scs": (2, 0),
    "brakeBoost": (2, 0),
    "auxBrakes": (2, 0),
    "width": (10, 0),
    "length": (12, 0),
}
"""Field -> (bits, smallest value), in the order of SAE J2735, DF_BSMcoreData."""

SOMEWHERE = {
    "msgCnt": 77,
    "id": 0x0BADF00D,
    "secMark": 31_400,
    "lat": 525_163_000,
    "long": 133_777_000,
    "elev": 745,
    "semiMajor": 31,
    "semiMinor": 20,
    "orientation": 8192,
    "transmission": 2,
    "speed": 694,
    "heading": 7200,
    "angle": -14,
    "accelLong": -392,
    "accelLat": 51,
    "accelVert": 3,
    "yaw": -2000,
    "wheelBrakes": 0b01111,
    "traction": 2,
    "abs": 3,
    "scs": 1,
    "brakeBoost": 0,
    "auxBrakes": 1,
    "width": 182,
    "length": 451,
}


def packed(raw: dict[str, int] | None = None, **changed: int) -> bytes:
    """A bare message without Part II. Values may exceed their range, not their bits."""
    values = {**SOMEWHERE, **(raw or {}), **changed}
    bits = "000"
    for field, (width, bias) in CORE.items():
        bits += format(values[field] - bias, f"0{width}b")
    return int(bits.ljust(296, "0"), 2).to_bytes(37)


def framed(body: bytes, message_id: int = 20) -> bytes:
    length = bytes([len(body)]) if len(body) < 128 else (0x8000 | len(body)).to_bytes(2)
    return message_id.to_bytes(2) + length + body
