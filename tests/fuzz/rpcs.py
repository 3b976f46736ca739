"""Every RPC of the hub with mutated messages, from an authorised party of each role.

The bytes go through a real hub's whole stack over mutual TLS. Whatever is sent, the hub may answer
or refuse; an internal error, a call that never ends, or a hub that is gone is a finding.

- Requests start from valid ones: of a project that is agreed, one that is matched and released,
  and one whose run waits for answers.
- Headers and envelopes are signed after they were made wrong, so that what stands behind the
  signature is reached.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import linkage.v1 as generated
from linkage.agreement import Manifest
from linkage.hub.home import initialise
from linkage.hub.steward import Steward
from linkage.rpc.channel import ClientIdentity, Connection, connect
from linkage.rpc.member import enrol_member
from linkage.rpc.party import Party, read_invitation, tls_key
from linkage.rpc.policy import POLICY
from linkage.trust.identity import Role, make_request
from linkage.trust.keyring import Keyring
from linkage.trust.signing import sign
from linkage.trust.statements import EnvelopeAddress, enrolment_statement
from linkage.v1 import enrolment_pb2, secret_pb2, upload_pb2
from tests.integration.hub.answering import keyed_manifest, submit, wait_until_waiting
from tests.integration.hub.conftest import (
    Hub,
    Member,
    make_manifest,
    raw,
    share_all,
    small_matrix,
    write_people,
)

from .mutations import flipped, json_mutated, message_mutated
from .parsers import _in_place

for module in pkgutil.iter_modules(generated.__path__, f"{generated.__name__}."):
    importlib.import_module(module.name)  # Descriptors of every service.

SECONDS = 30.0
PATIENCE = 60.0
ROLES = {
    "sheriff": Role.PARTNER,
    "health": Role.PARTNER,
    "outsider": Role.PARTNER,
    "county": Role.ASSEMBLER,
    "reader": Role.EVALUATOR,
}
# Makes work that goes on after the answer: a run, a release, a certificate.
SELDOM = {"CreateRun", "CreateRelease", "CreateProject", "WatchRun", "Watch"}


@dataclass
class Finding:
    """Something that must not be."""

    method: str
    by: str
    what: str
    messages: list[str]


@dataclass
class Target:
    """A hub in the midst of its work, and everybody's connections to it."""

    hub: Hub
    channels: dict[str, Connection]
    roles: dict[str, Role]
    members: dict[str, Member]
    ids: dict[str, list[str]]
    manifests: list[Manifest]
    random: Random
    cases: int = 0
    refused: int = 0
    tried: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        hub: Hub,
        members: dict[str, Member],
        steward: Connection,
        newcomer: tuple[ClientIdentity, enrolment_pb2.EnrolRequest],
        *,
        manifests: list[Manifest],
        runs: list[str],
        releases: list[str],
        uploads: list[str],
        random: Random,
    ) -> Target:
        identity, enrolment = newcomer
        channels = {name: member.connection for name, member in members.items()}
        return cls(
            hub,
            channels | {"steward": steward, "newcomer": connect(identity, patience=PATIENCE)},
            {**ROLES, "steward": Role.STEWARD, "newcomer": Role.INVITEE},
            members,
            {
                "project": [*(manifest.project for manifest in manifests), "none"],
                "run": [*runs, "0" * 32],
                "release": [*releases, "0" * 32],
                "upload": [*uploads, secrets.token_hex(16)],
                "other": ["health", "sheriff"],
                "fingerprint": [manifest.fingerprint for manifest in manifests],
                "pair": ["health.sheriff.0", "sheriff.health.1"],
                "request_id": [secrets.token_hex(16)],
                "enrolment": [enrolment.SerializeToString().hex()],
            },
            manifests,
            random,
        )

    def step(self) -> None:
        """One case."""
        method = self.random.choice(list(POLICY))
        name = method.rpartition("/")[2]
        if name in SELDOM and self.random.random() > 0.02:
            return
        if name == "WriteUpload" and self.random.random() < 0.5:
            self._whole_upload()
            return
        callers = [who for who, role in self.roles.items() if role in POLICY[method].roles]
        may = callers and self.random.random() < 0.95
        by = self.random.choice(callers if may else list(self.roles))
        messages = [self._message(method, by)]
        if name == "WriteUpload":
            messages += [self._message(method, by) for _ in range(self.random.randrange(4))]
        elif self.random.random() < 0.01:
            messages = messages * self.random.choice((0, 2))
        self._send(method, by, messages)

    def _message(self, method: str, by: str) -> bytes:
        name = method.rpartition("/")[2]
        if name == "CreateUpload":
            return self._signed_header(by)
        if name == "PutEnvelope":
            return self._signed_envelope(by)
        if name == "CreateProject":
            document = json_mutated(self.random.choice(self.manifests).canonical, self.random)
            return _request(method)(manifest=document).SerializeToString()
        return message_mutated(self._valid(method, by), self.random)

    def _valid(self, method: str, by: str) -> Message:
        """A request that names what there is."""
        request = _request(method)()
        for part in request.DESCRIPTOR.fields:
            if part.name in self.ids and part.message_type is None:
                setattr(request, part.name, self.random.choice(self.ids[part.name]))
        if isinstance(request, enrolment_pb2.EnrolRequest):
            request.CopyFrom(self._enrolment)
        if isinstance(request, enrolment_pb2.RenewRequest):
            request.certificate_request = self._enrolment.certificate_request
        return request

    @property
    def _enrolment(self) -> enrolment_pb2.EnrolRequest:
        found = enrolment_pb2.EnrolRequest()
        found.ParseFromString(bytes.fromhex(self.ids["enrolment"][0]))
        return found

    def _signed_header(self, by: str) -> bytes:
        member = self.members.get(by) or self.members["sheriff"]
        manifest = self.random.choice(self.manifests)
        data = raw(small_matrix(manifest))
        header = json_mutated(member.header(manifest, data).canonical, self.random)
        signature = member.signature(header)
        if self.random.random() < 0.1:
            signature = flipped(signature, self.random)
        request = upload_pb2.CreateUploadRequest(header=header, signature=signature)
        return request.SerializeToString()

    def _signed_envelope(self, by: str) -> bytes:
        member = self.members.get(by) or self.members["sheriff"]
        manifest = self.random.choice(self.manifests)
        address = EnvelopeAddress(
            project=manifest.project,
            fingerprint=manifest.fingerprint,
            epoch=0,
            sender=member.name,
            recipient="health" if member.name == "sheriff" else "sheriff",
        )
        sealed = self.random.randbytes(self.random.choice((1, 1200, 8192, 9000)))
        envelope = secret_pb2.Envelope(
            **address.model_dump(),
            sealed=sealed,
            signature=member.signature(address.statement(sealed)),
        )
        request = secret_pb2.PutEnvelopeRequest(envelope=envelope)
        return message_mutated(request, self.random)

    def _whole_upload(self) -> None:
        """A header that holds, over encodings that do not: three calls, counted as one case."""
        member = self.members[self.random.choice(("sheriff", "health"))]
        manifest = self.manifests[0]
        data = _in_place(raw(small_matrix(manifest)), self.random)
        header = member.header(manifest, data, digest=hashlib.sha256(data).hexdigest()).canonical
        create = upload_pb2.CreateUploadRequest(header=header, signature=member.signature(header))
        answer = self._send(
            "/linkage.v1.UploadService/CreateUpload", member.name, [create.SerializeToString()]
        )
        if answer is None:
            return
        upload = upload_pb2.CreateUploadResponse.FromString(answer).upload.upload
        write = upload_pb2.WriteUploadRequest(upload=upload, data=data)
        finish = upload_pb2.FinishUploadRequest(upload=upload)
        self._send(
            "/linkage.v1.UploadService/WriteUpload", member.name, [write.SerializeToString()]
        )
        self._send(
            "/linkage.v1.UploadService/FinishUpload", member.name, [finish.SerializeToString()]
        )
        self.cases -= 2

    def _send(self, method: str, by: str, messages: list[bytes]) -> bytes | None:
        """Give the first answer, or None where there is none."""
        self.cases += 1
        self.tried.add(method)
        call = self.channels[by].channel.stream_stream(method)
        seconds = 0.3 if method.endswith(("Watch", "WatchRun")) else SECONDS
        answers = call(iter(messages), timeout=seconds)
        try:
            found = [bytes(answer) for answer in answers]
        except grpc.RpcError as error:
            self.refused += 1
            what = _wrong(error)
            if what == "DEADLINE_EXCEEDED" and seconds < SECONDS:
                return None
            if what:
                shown = [message.hex()[:4000] for message in messages]
                self.findings.append(Finding(method, by, what, shown))
            return None
        return found[0] if found else None


def _wrong(error: grpc.RpcError) -> str:
    """What is wrong with a failure; nothing, where it is a refusal."""
    code = error.code()
    if code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}:
        return f"{code.name}: {error.details()}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return code.name
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.reason == "INTERNAL":
            return f"INTERNAL: {status.message}"
    return ""


def _request(method: str) -> type[Message]:
    """The message class that a method takes."""
    service, _, name = method.lstrip("/").partition("/")
    found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    made: type[Message] = GetMessageClass(found.input_type)
    return made


@contextmanager
def target(seed: int) -> Iterator[Target]:
    """A hub of its own with a project in every state."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place)
        home = initialise(path / "home", name="prairie", address="127.0.0.1:0", hosts=["127.0.0.1"])
        hub = Hub(home, path / "hub.log")
        hub.start()
        try:
            made = _settled(hub, path, Random(seed))
            yield made
            for connection in made.channels.values():
                connection.__exit__()
        finally:
            hub.kill()


def _settled(hub: Hub, path: Path, random: Random) -> Target:
    members: dict[str, Member] = {}
    for name, role in ROLES.items():
        Keyring.create(path / name / "keys")
        party = enrol_member(path / name, hub.invite(name, role), patience=PATIENCE)
        members[name] = Member(name, path / name, party.connect(patience=PATIENCE))
    for one in members.values():
        for other in members.values():
            if one is not other:
                one.keyring.trust(other.name, other.keyring.fingerprint)
    identity = Party.load(hub.home.path / "steward").identity
    mine = ClientIdentity(hub.address, identity.authority, identity.key, identity.certificate)
    connection = connect(mine, patience=PATIENCE)
    steward = Steward(connection)
    agreed, linked, waiting = make_manifest(), make_manifest(), keyed_manifest()
    for manifest in (agreed, linked, waiting):
        steward.propose(manifest)
        for name in manifest.partner_names:
            members[name].agent().sign(members[name].connection, manifest)
    share_all(members, linked)
    for seed, name in enumerate(linked.partner_names):
        file = write_people(path / f"{name}.csv", seed=seed)
        members[name].agent().submit(members[name].connection, linked.project, file)
    run = steward.start_run(linked.project).run
    steward.watch(run, lambda _: None)
    release = steward.release(run, None)
    for name in linked.partner_names:
        members[name].agent().approve(members[name].connection, linked.project, release.release)
    for name in waiting.partner_names:
        submit(members[name], waiting, range(30))
    asked = steward.start_run(waiting.project).run
    wait_until_waiting(steward, waiting.project, asked)
    data = raw(small_matrix(agreed))
    upload = members["sheriff"].create(members["sheriff"].header(agreed, data)).upload
    return Target.of(
        hub,
        members,
        connection,
        enrolment_of(hub, path),
        manifests=[agreed, linked, waiting],
        runs=[run, asked],
        releases=[release.release],
        uploads=[upload],
        random=random,
    )


def enrolment_of(hub: Hub, path: Path) -> tuple[ClientIdentity, enrolment_pb2.EnrolRequest]:
    invited = read_invitation(hub.invite("newcomer"))
    keyring = Keyring.create(path / "newcomer" / "keys")
    token = bytes.fromhex(invited.token)
    request = make_request(tls_key(path / "newcomer"), "newcomer")
    keys = (keyring.signing_public, keyring.sealing_key.public)
    message = enrolment_pb2.EnrolRequest(
        token=token,
        certificate_request=request,
        signing_key=keys[0],
        sealing_key=keys[1],
        proof=sign(keyring.signing_key, enrolment_statement(token, request, *keys)),
    )
    identity = ClientIdentity(
        invited.address,
        invited.authority.encode(),
        invited.key.encode(),
        invited.certificate.encode(),
    )
    return identity, message
