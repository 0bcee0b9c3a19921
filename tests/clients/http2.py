"""HTTP/2 and gRPC by hand, for what no client library sends."""

import socket
import struct
import zlib

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INITIAL_WINDOW_SIZE = 4
SERVICE = "/arrow.flight.protocol.FlightService/"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(text: bytes) -> bytes:
    """A length with a prefix of seven bits, and the text as it is."""
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, out = len(text) - 127, bytearray([127])
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes([*out, rest]) + text


def header_block(pairs) -> bytes:
    return b"".join(b"\x00" + literal(name.encode()) + literal(value.encode()) for name, value in pairs)


def message(body: bytes, compressed: bool = False, length: int | None = None) -> bytes:
    """A gRPC message; `length` may lie."""
    return struct.pack(">BI", compressed, len(body) if length is None else length) + body


def gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(body) + packer.flush()


class Connection:
    """One connection. What comes back is counted, not understood."""

    def __init__(self, address: str, token: str, window: int | None = None):
        host, port = address.rsplit(":", 1)
        self.authority, self.token, self.stream = address, token, -1
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        settings = b"" if window is None else struct.pack(">HI", INITIAL_WINDOW_SIZE, window)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, data: bytes) -> bool:
        """Whether the other end still takes it."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def open(self, method: str, *more, end: bool = False) -> tuple[int, bytes]:
        """A new stream and the frame that opens it."""
        self.stream += 2
        pairs = [
            (":method", "POST"), (":scheme", "http"), (":path", SERVICE + method), (":authority", self.authority),
            ("content-type", "application/grpc"), ("te", "trailers"), ("authorization", f"Bearer {self.token}"), *more,
        ]
        return self.stream, frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), self.stream, header_block(pairs))

    def call(self, method: str, body: bytes, *more) -> bytes:
        """The request in one go; the bytes that come back until the stream or the connection ends, or nothing comes."""
        stream, begin = self.open(method, *more)
        pieces = [body[at:at + 16_000] for at in range(0, len(body), 16_000)] or [b""]
        frames = [frame(DATA, END_STREAM if piece is pieces[-1] else 0, stream, piece) for piece in pieces]
        self.send(begin + b"".join(frames))
        return self.drain(stream)

    def drain(self, stream: int | None = None, limit_s: float = 5) -> bytes:
        received = b""
        self.socket.settimeout(limit_s)
        try:
            while part := self.socket.recv(65_536):
                received += part
                if stream is not None and self.ended(received, stream):
                    break
        except OSError:
            pass
        return received

    @staticmethod
    def ended(received: bytes, stream: int) -> bool:
        at = 0
        while at + 9 <= len(received):
            length, kind, flags = int.from_bytes(received[at:at + 3], "big"), received[at + 3], received[at + 4]
            of = int.from_bytes(received[at + 5:at + 9], "big")
            if kind == GOAWAY or of == stream and (kind == RST_STREAM or kind in (DATA, HEADERS) and flags & END_STREAM):
                return True
            at += 9 + length
        return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
