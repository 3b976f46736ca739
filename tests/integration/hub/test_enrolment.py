"""Who gets in, and who does not."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from linkage.errors import (
    AlreadyExistsError,
    EnrolmentError,
    InputError,
    LinkageError,
    NotAuthorisedError,
    NotFoundError,
    SignatureError,
    UnauthenticatedError,
    UntrustedKeyError,
)
from linkage.rpc.channel import ClientIdentity, connect
from linkage.rpc.member import enrol_member
from linkage.rpc.party import Party, read_invitation, tls_key
from linkage.store import tables
from linkage.store.sql import find, update
from linkage.trust.identity import PartyId, Role, make_authority, make_request
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign
from linkage.trust.statements import enrolment_statement
from linkage.v1 import enrolment_pb2, project_pb2, release_pb2
from linkage.v1.enrolment_pb2_grpc import EnrolmentServiceStub
from linkage.v1.project_pb2_grpc import ProjectServiceStub
from linkage.v1.release_pb2_grpc import ReleaseServiceStub


def _home(path: Path) -> Path:
    Keyring.create(path / "keys")
    return path


def _enrol(invitation: bytes, keyring: Keyring, home: Path, **changes: bytes):
    """Enrol as a modified client would."""
    invited = read_invitation(invitation)
    token, request = bytes.fromhex(invited.token), make_request(tls_key(home), invited.name)
    keys = (keyring.signing_public, keyring.sealing_key.public)
    fields = {
        "token": token,
        "certificate_request": request,
        "signing_key": keys[0],
        "sealing_key": keys[1],
        "proof": sign(keyring.signing_key, enrolment_statement(token, request, *keys)),
        **changes,
    }
    identity = ClientIdentity(
        invited.address,
        invited.authority.encode(),
        invited.key.encode(),
        invited.certificate.encode(),
    )
    with connect(identity, patience=10) as connection:
        stub = EnrolmentServiceStub(connection.channel)
        return connection.call(stub.Enrol, enrolment_pb2.EnrolRequest(**fields))


def test_an_invitation_works_once(hub, tmp_path: Path) -> None:
    invitation = hub.invite("once")
    party = enrol_member(_home(tmp_path / "one"), invitation, patience=10)
    assert (party.name, party.role) == ("once", Role.PARTNER)
    with pytest.raises(EnrolmentError):
        enrol_member(_home(tmp_path / "two"), invitation, patience=10)
    with pytest.raises(AlreadyExistsError):
        enrol_member(tmp_path / "one", invitation, patience=10)


def test_an_enrolment_that_crashed_is_repeated_with_the_same_keys(hub, tmp_path: Path) -> None:
    invitation, home = hub.invite("crashed"), _home(tmp_path)
    first = enrol_member(home, invitation, patience=10)
    key = (home / "tls.key").read_bytes()
    (home / "party.json").unlink()
    (home / "tls.pem").unlink()
    again = enrol_member(home, invitation, patience=10)
    assert again == first
    assert (home / "tls.key").read_bytes() == key
    with again.connect(patience=10):
        pass


def test_an_invitation_is_for_one_name(hub, tmp_path: Path) -> None:
    """A token found by another invited party is worth nothing to it."""
    victim, thief = read_invitation(hub.invite("victim")), hub.invite("thief")
    keyring = Keyring.create(tmp_path / "keys")
    with pytest.raises(EnrolmentError):
        _enrol(thief, keyring, tmp_path, token=bytes.fromhex(victim.token))


def test_an_expired_invitation_is_refused(hub, tmp_path: Path) -> None:
    invitation = hub.invite("late")
    with hub.database().transaction() as connection:
        assert update(connection, tables.invitation, {"name": "late"}, expires_at=1) == 1
    with pytest.raises(EnrolmentError):
        enrol_member(_home(tmp_path), invitation, patience=10)
    with hub.database().transaction() as connection:
        assert find(connection, tables.party, name="late") is None


def test_an_unknown_token_is_refused(hub, tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keys")
    with pytest.raises(EnrolmentError):
        _enrol(hub.invite("guess"), keyring, tmp_path, token=bytes(32))


def test_the_signing_key_must_be_proven(hub, tmp_path: Path) -> None:
    keyring, other = Keyring.create(tmp_path / "keys"), Keyring.create(tmp_path / "other")
    invitation = hub.invite("prover")
    with pytest.raises(SignatureError):
        _enrol(invitation, keyring, tmp_path, signing_key=other.signing_public)
    with pytest.raises(SignatureError):
        _enrol(invitation, keyring, tmp_path, sealing_key=other.sealing_key.public)
    with pytest.raises(SignatureError):
        _enrol(invitation, keyring, tmp_path, proof=bytes(64))
    with pytest.raises(UntrustedKeyError):
        _enrol(invitation, keyring, tmp_path, sealing_key=b"short")
    # None of these used the invitation up.
    assert _enrol(invitation, keyring, tmp_path).party.name == "prover"


def test_a_malformed_request_does_not_use_the_invitation_up(hub, tmp_path: Path) -> None:
    invitation, keyring = hub.invite("clumsy"), Keyring.create(tmp_path / "keys")
    token = bytes.fromhex(read_invitation(invitation).token)
    keys = (keyring.signing_public, keyring.sealing_key.public)
    proof = sign(keyring.signing_key, enrolment_statement(token, b"no request", *keys))
    with pytest.raises(EnrolmentError, match="cannot be read"):
        _enrol(invitation, keyring, tmp_path, certificate_request=b"no request", proof=proof)
    assert _enrol(invitation, keyring, tmp_path).party.name == "clumsy"


def test_a_party_is_invited_again_in_its_role_and_with_its_keys(hub, tmp_path: Path) -> None:
    """For an expired certificate; whoever finds the file cannot become that party with it."""
    home = _home(tmp_path / "home")
    enrol_member(home, hub.invite("returning"), patience=10)
    with pytest.raises(AlreadyExistsError):
        hub.invite("returning", Role.ASSEMBLER)
    invitation = hub.invite("returning")
    with pytest.raises(EnrolmentError, match="other keys"):
        enrol_member(_home(tmp_path / "thief"), invitation, patience=10)
    (home / "party.json").unlink()
    assert enrol_member(home, invitation, patience=10).name == "returning"


def test_the_hub_keeps_no_token(hub) -> None:
    token = read_invitation(hub.invite("kept")).token
    for path in hub.home.path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert token.encode() not in data, path
            assert bytes.fromhex(token) not in data, path


@pytest.mark.parametrize(
    "change", [{"token": "not hex"}, {"token": "ab"}, {"token": ""}, {"surprise": 1}], ids=str
)
def test_an_altered_invitation_is_refused_in_words(hub, change: dict) -> None:
    import json

    invitation = {**json.loads(hub.invite(f"altered{len(str(change))}")), **change}
    with pytest.raises(InputError, match="not an invitation"):
        read_invitation(json.dumps(invitation).encode())


def test_an_invitee_may_enrol_and_nothing_else(hub) -> None:
    identity = hub.identity(PartyId("prairie", Role.INVITEE, "sheriff"))
    with connect(identity, patience=10) as connection:
        stub = ProjectServiceStub(connection.channel)
        with pytest.raises(NotAuthorisedError):
            connection.call(stub.ListProjects, project_pb2.ListProjectsRequest())
        with pytest.raises(NotAuthorisedError):
            connection.call(
                EnrolmentServiceStub(connection.channel).Renew, enrolment_pb2.RenewRequest()
            )


def test_a_certificate_is_renewed_for_the_same_party_only(hub, members) -> None:
    sheriff = members["sheriff"]
    request = make_request(tls_key(sheriff.home), "steward")
    answer = sheriff.connection.call(
        sheriff.stub(EnrolmentServiceStub).Renew,
        enrolment_pb2.RenewRequest(certificate_request=request),
    )
    identity = ClientIdentity(
        hub.address,
        hub.home.authority.certificate_pem,
        (sheriff.home / "tls.key").read_bytes(),
        answer.certificate_chain,
    )
    with connect(identity, patience=10) as connection:
        stub = ProjectServiceStub(connection.channel)
        with pytest.raises(NotAuthorisedError):
            connection.call(stub.CreateProject, project_pb2.CreateProjectRequest())


def test_without_a_client_certificate_nobody_gets_in(hub) -> None:
    credentials = grpc.ssl_channel_credentials(hub.home.authority.certificate_pem)
    with grpc.secure_channel(hub.address, credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_without_tls_nobody_gets_in(hub) -> None:
    with grpc.insecure_channel(hub.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


SHERIFF = PartyId("prairie", Role.PARTNER, "sheriff")


def test_a_certificate_of_another_authority_is_refused(hub, members) -> None:
    """Made by somebody who copied the hub's name into an authority of its own."""
    identity = hub.identity(SHERIFF, authority=make_authority("prairie"))
    with pytest.raises(UnauthenticatedError, match="refuses this party's certificate"):
        connect(identity, patience=2)


def test_an_expired_certificate_is_refused(hub, members) -> None:
    from datetime import timedelta

    identity = hub.identity(SHERIFF, lifetime=timedelta(seconds=-30))
    with pytest.raises(UnauthenticatedError, match="refuses this party's certificate"):
        connect(identity, patience=2)


@pytest.mark.parametrize(
    "party",
    [
        PartyId("prairie", Role.PARTNER, "nobody"),
        PartyId("prairie", Role.STEWARD, "sheriff"),
        PartyId("prairie", Role.ASSEMBLER, "sheriff"),
        PartyId("elsewhere", Role.PARTNER, "sheriff"),
    ],
    ids=["unknown", "steward", "assembler", "hub"],
)
def test_a_certificate_for_somebody_the_hub_does_not_know_is_refused(
    hub, members, party: PartyId
) -> None:
    with pytest.raises(UnauthenticatedError):
        connect(hub.identity(party), patience=2)


def test_a_role_may_do_only_its_own(members) -> None:
    sheriff, reader = members["sheriff"], members["reader"]
    with pytest.raises(NotAuthorisedError):
        sheriff.connection.call(
            sheriff.stub(ProjectServiceStub).CreateProject, project_pb2.CreateProjectRequest()
        )
    with pytest.raises(NotAuthorisedError):
        reader.connection.call(
            reader.stub(ReleaseServiceStub).ListParcels, release_pb2.ListParcelsRequest()
        )
    with pytest.raises(NotAuthorisedError):
        list(
            reader.connection.receive(
                reader.stub(ReleaseServiceStub).DownloadStudyMap,
                release_pb2.DownloadStudyMapRequest(),
            )
        )


def test_a_home_that_never_enrolled_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="invitation"):
        Party.load(tmp_path)


def test_an_enrolment_without_keys_says_so(hub, tmp_path: Path) -> None:
    with pytest.raises(LinkageError):
        enrol_member(tmp_path, hub.invite("keyless"), patience=10)
    assert not (tmp_path / "party.json").exists()
