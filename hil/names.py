"""Inside the machine: a name server for which every name is this machine (RFC 1035).

A question for an IPv4 address is answered with 127.0.0.1, any other with nothing.
"""

import socket
import struct

HEADER = struct.Struct("!6H")
RESPONSE = 0x8180
"""A response, recursion desired and available, no error."""
POINTER = b"\xc0\x0c"
"""The name is that of the question, right behind the header."""
ADDRESS, INTERNET = 1, 1
LIVES_S = 60


def answer(query: bytes) -> bytes:
    number = HEADER.unpack_from(query)[0]
    end = query.index(b"\0", HEADER.size) + 5
    (kind,) = struct.unpack_from("!H", query, end - 4)
    record = b""
    if kind == ADDRESS:
        record = POINTER + struct.pack("!HHIH", ADDRESS, INTERNET, LIVES_S, 4)
        record += socket.inet_aton("127.0.0.1")
    header = HEADER.pack(number, RESPONSE, 1, 1 if record else 0, 0, 0)
    return header + query[HEADER.size : end] + record


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        while True:
            query, asker = server.recvfrom(512)
            server.sendto(answer(query), asker)


if __name__ == "__main__":
    main()
