"""What a party is told when the hub is away, is somebody else, or does not want it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise

import pytest

from linkage.errors import HubUnavailableError, UnauthenticatedError
from linkage.rpc.channel import LONGEST_PAUSE, ClientIdentity, connect
from linkage.rpc.party import Party
from linkage.rpc.server import Server
from linkage.trust.identity import PartyId, Role, issue_server, make_authority

SHERIFF = PartyId("prairie", Role.PARTNER, "sheriff")


def _at(identity: ClientIdentity, port: int, host: str = "127.0.0.1") -> ClientIdentity:
    return ClientIdentity(f"{host}:{port}", identity.authority, identity.key, identity.certificate)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def _listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Something that listens, and is no hub."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                taken, _ = server.accept()
            except OSError:
                return
            with taken:
                answer(taken)

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def test_a_hub_that_is_away_is_tried_with_growing_pauses(hub) -> None:
    port, pauses = _free_port(), []
    with pytest.raises(HubUnavailableError) as caught:
        connect(_at(hub.identity(SHERIFF), port), patience=1.2, waiting=pauses.append)
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "tried for 1 seconds" in str(caught.value)
    assert len(pauses) >= 3
    assert all(later > sooner for sooner, later in pairwise(pauses[:-1]))
    assert max(pauses) <= LONGEST_PAUSE
    assert sum(pauses) <= 1.2


def test_without_patience_it_is_tried_once(hub) -> None:
    with pytest.raises(HubUnavailableError):
        connect(
            _at(hub.identity(SHERIFF), _free_port()), patience=0, waiting=lambda _: pytest.fail()
        )


def test_a_hub_that_comes_up_late_is_found(hub, members) -> None:
    """Nobody listens at first; then what listens passes everything on to the hub."""
    port = _free_port()
    waited = threading.Event()

    def late() -> None:
        waited.wait(10)
        with socket.create_server(("127.0.0.1", port)) as server:
            taken, _ = server.accept()
            with taken, socket.create_connection(("127.0.0.1", hub.port)) as onward:
                back = threading.Thread(target=_copy, args=(onward, taken), daemon=True)
                back.start()
                _copy(taken, onward)

    thread = threading.Thread(target=late, daemon=True)
    thread.start()
    with connect(_at(hub.identity(SHERIFF), port), patience=20, waiting=lambda _: waited.set()):
        assert waited.is_set()
    thread.join(10)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
    except OSError:
        return


@pytest.mark.parametrize(
    "answer",
    [
        lambda taken: None,
        lambda taken: taken.recv(1),
        lambda taken: (taken.recv(4096), taken.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    ],
    ids=["hangs up", "hangs up later", "http"],
)
def test_what_is_no_hub_is_no_refusal(hub, answer) -> None:
    """A proxy whose hub is down hangs up; that must not read as a refused certificate."""
    with _listening(answer) as port, pytest.raises(HubUnavailableError):
        connect(_at(hub.identity(SHERIFF), port), patience=1)


def test_a_server_of_another_authority_is_not_believed(hub) -> None:
    impostor = make_authority("prairie")
    key, certificate = issue_server(impostor, ["127.0.0.1"])
    server = Server(
        register=lambda _: None,
        interceptors=[],
        issue=lambda: (key, certificate),
        authority=hub.home.authority.certificate_pem,
        address="127.0.0.1:0",
        healthy=lambda: True,
    )
    server.start()
    try:
        with pytest.raises(UnauthenticatedError, match="hub you enrolled with"):
            connect(_at(hub.identity(SHERIFF), server.port), patience=5)
    finally:
        server.stop(0)


def test_a_hub_under_another_name_is_not_believed(hub) -> None:
    """The certificate is for 127.0.0.1; a name that leads there too is not enough."""
    with pytest.raises(UnauthenticatedError, match="hub you enrolled with"):
        connect(_at(hub.identity(SHERIFF), hub.port, "localhost"), patience=2)


def test_a_partner_cannot_pose_as_the_hub(hub) -> None:
    """A client certificate of the right authority is no server certificate."""
    thief = hub.identity(SHERIFF)
    server = Server(
        register=lambda _: None,
        interceptors=[],
        issue=lambda: (thief.key, thief.certificate),
        authority=hub.home.authority.certificate_pem,
        address="127.0.0.1:0",
        healthy=lambda: True,
    )
    server.start()
    try:
        with pytest.raises(UnauthenticatedError, match="hub you enrolled with"):
            connect(_at(hub.identity(SHERIFF), server.port), patience=5)
    finally:
        server.stop(0)


def test_a_certificate_is_renewed_before_it_expires(hub, members) -> None:
    """Half-way through its life: the connection goes on, the file holds a fresh one."""
    sheriff = members["sheriff"]
    before = (sheriff.home / "tls.pem").read_bytes()
    try:
        old = hub.identity(SHERIFF, lifetime=timedelta(minutes=3))
        (sheriff.home / "tls.pem").write_bytes(old.certificate)
        (sheriff.home / "tls.key").write_bytes(old.key)
        with Party.load(sheriff.home).connect(patience=10):
            pass
        fresh = (sheriff.home / "tls.pem").read_bytes()
        assert fresh not in (before, old.certificate)
        with Party.load(sheriff.home).connect(patience=10):
            pass
        assert (sheriff.home / "tls.pem").read_bytes() == fresh
    finally:
        (sheriff.home / "tls.pem").write_bytes(fresh)
