"""NMEA sentences made to measure, with their checksums."""

PLACE = "5230.9780,N,01322.6620,E"  # 52.5163 north, 13.3777 east


def line(content: str) -> bytes:
    total = 0
    for octet in content.encode("latin-1"):
        total ^= octet
    return f"${content}*{total:02X}\r\n".encode("latin-1")


def rmc(
    at: str, *, day: str = "221126", status: str = "A", place: str = PLACE, knots: str = "38.8769"
) -> bytes:
    return line(f"GNRMC,{at},{status},{place},{knots},90.00,{day},,,A,V")


def gga(
    at: str, *, quality: int = 1, place: str = PLACE, alt: str = "34.5", sep: str = "40.0"
) -> bytes:
    return line(f"GNGGA,{at},{place},{quality},12,0.8,{alt},M,{sep},M,,")


def gst(at: str, ellipse: str = "1.5,1.0,45.0", box: str = "1.2,1.1,2.0") -> bytes:
    return line(f"GNGST,{at},2.0,{ellipse},{box}")


def epochs(count: int) -> bytes:
    """A second of driving, at ten fixes a second, and so on."""
    lines = []
    for number in range(count):
        at = f"12{number // 600:02d}{number // 10 % 60:02d}.{number % 10}00"
        lines += [rmc(at), gga(at), gst(at)]
    return b"".join(lines)
