"""An HTTP/2 client that does what no gRPC library lets one do: just frames over mutual TLS.

Enough of RFC 9113 to open streams, to send bytes that are no message, and to see the answer; the
server's headers are not decoded.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from linkage.rpc.channel import ClientIdentity

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
MESSAGE_HEAD = struct.Struct(">BI")


@dataclass
class Wire:
    """One connection.

    Attributes:
        ended: streams that the server has ended or reset.
        gone: the server closed the connection.
    """

    identity: ClientIdentity
    ended: set[int] = field(default_factory=set)
    gone: bool = False
    _next: int = 1
    _greeted: bool = False
    _window: int = 65_535
    _unread: bytes = b""

    def __post_init__(self) -> None:
        host, _, port = self.identity.address.rpartition(":")
        context = ssl.create_default_context(cadata=self.identity.authority.decode())
        context.set_alpn_protocols(["h2"])
        with tempfile.TemporaryDirectory() as place:
            pem = Path(place) / "identity.pem"
            pem.touch(0o600)
            pem.write_bytes(self.identity.certificate + self.identity.key)
            context.load_cert_chain(pem)
        plain = socket.create_connection((host, int(port)), timeout=20)
        self._socket = context.wrap_socket(plain, server_hostname=host)
        self._send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(SETTINGS, 0, 0))
        while not self._greeted and not self.gone:
            self.listen(0.01)

    def open(self, method: str, *more: tuple[str, str]) -> int:
        """Begin a call, and send none of its message."""
        stream, self._next = self._next, self._next + 2
        fields = [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", method),
            (":authority", self.identity.address),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *more,
        ]
        block = b"".join(_literal(name) + _literal(value, first=b"") for name, value in fields)
        self._send(_frame(HEADERS, END_HEADERS, stream, block))
        return stream

    def data(self, stream: int, body: bytes, *, end: bool = False) -> None:
        """Send bytes of a stream, as many as the server has room for."""
        for start in range(0, max(len(body), 1), 16_384):
            piece = body[start : start + 16_384]
            while len(piece) > self._window and not self.gone and stream not in self.ended:
                self.listen(0.05)
            if self.gone or stream in self.ended:
                return
            self._window -= len(piece)
            last = end and start + len(piece) >= len(body)
            self._send(_frame(DATA, END_STREAM if last else 0, stream, piece))

    def listen(self, seconds: float) -> None:
        """Take in what the server says within that time."""
        give_up = time.monotonic() + seconds
        while not self.gone:
            left = give_up - time.monotonic()
            ready = self._socket.pending() or (
                left > 0 and select.select([self._socket], [], [], left)[0]
            )
            if not ready:
                return
            try:
                got = self._socket.recv(1 << 16)
            except OSError:
                got = b""
            self.gone = not got
            self._unread += got
            self._take()

    def until_ended(self, *streams: int, seconds: float = 20.0) -> bool:
        give_up = time.monotonic() + seconds
        while not self.gone and not self.ended >= set(streams) and time.monotonic() < give_up:
            self.listen(0.1)
        return self.gone or self.ended >= set(streams)

    def send_raw(self, raw: bytes) -> None:
        """Send what need be no frame."""
        self._send(raw)

    def close(self) -> None:
        self._socket.close()

    def _take(self) -> None:
        while len(self._unread) >= 9:
            size = int.from_bytes(self._unread[:3])
            if len(self._unread) < 9 + size:
                return
            kind, flags = self._unread[3], self._unread[4]
            stream = int.from_bytes(self._unread[5:9]) & 0x7FFF_FFFF
            body, self._unread = self._unread[9 : 9 + size], self._unread[9 + size :]
            if kind == SETTINGS and not flags & ACK:
                self._greeted = True
                self._send(_frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self._send(_frame(PING, ACK, 0, body))
            elif kind == WINDOW_UPDATE and stream == 0:
                self._window += int.from_bytes(body)
            elif kind == RST_STREAM or (kind in {DATA, HEADERS} and flags & END_STREAM):
                self.ended.add(stream)
            elif kind == GOAWAY:
                self.gone = True

    def _send(self, raw: bytes) -> None:
        try:
            self._socket.sendall(raw)
        except OSError:
            self.gone = True


def message_head(size: int) -> bytes:
    """What precedes a message of gRPC: not compressed, and its size."""
    return MESSAGE_HEAD.pack(0, size)


def _frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return len(body).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + body


def _literal(text: str, *, first: bytes = b"\x00") -> bytes:
    """A string of HPACK, neither indexed nor Huffman-coded; shorter than 127 bytes."""
    raw = text.encode()
    assert len(raw) < 127
    return first + bytes([len(raw)]) + raw
