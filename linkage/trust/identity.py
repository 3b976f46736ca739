"""X.509 identities: the hub's certificate authority and the parties' certificates.

- A party is named by the URI in its certificate's subject alternative name,
  `spiffe://<hub>/<role>/<name>`; nothing in a message body can change who is calling.
- Private keys are made where they are used; only certificate requests travel.
- Keys are ECDSA P-256 (every TLS stack speaks it); signing statements is another matter, see
  `signing`.

Sources: RFC 5280 (X.509), RFC 2986 (PKCS#10), the SPIFFE ID format.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from linkage.errors import EnrolmentError, TrustError, UnauthenticatedError

BACKDATE = timedelta(minutes=5)
_URI = re.compile(r"spiffe://([a-z0-9.-]{1,63})/([a-z]+)/([a-z][a-z0-9_-]{0,62})")


class Role(StrEnum):
    """What a party is to the hub; an invitee may only enrol."""

    PARTNER = "partner"
    ASSEMBLER = "assembler"
    EVALUATOR = "evaluator"
    STEWARD = "steward"
    INVITEE = "invitee"


@dataclass(frozen=True)
class PartyId:
    """Who a certificate speaks for."""

    hub: str
    role: Role
    name: str

    @property
    def uri(self) -> str:
        return f"spiffe://{self.hub}/{self.role}/{self.name}"


@dataclass(frozen=True)
class Credential:
    """A verified client certificate: whom it speaks for, which one it is, and how long it holds."""

    party: PartyId
    serial: str
    expires: datetime


@dataclass(frozen=True)
class Authority:
    """A certificate authority: its key must stay on the hub's machine."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return private_key_pem(self.key)


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS#8 PEM, not encrypted: for a file that only its owner may read."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises TrustError unless `pem` is an elliptic-curve key, not encrypted."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (TypeError, ValueError):
        raise TrustError("a TLS key is damaged", remedy="Restore it from the backup") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TrustError("a TLS key is not an elliptic-curve key")
    return key


def new_private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make_authority(hub: str, *, lifetime: timedelta = timedelta(days=3650)) -> Authority:
    """A new self-signed authority for the hub of that name."""
    key = new_private_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hub)])
    certificate = (
        _builder(name, name, key.public_key(), lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def load_authority(certificate_pem: bytes, key_pem: bytes) -> Authority:
    """Raises EnrolmentError unless both can be read, and the key is of the right kind."""
    try:
        key = serialization.load_pem_private_key(key_pem, None)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise EnrolmentError(
            "the authority's key or certificate is damaged", remedy="Put it back from a backup"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise EnrolmentError("the authority's key is not an elliptic-curve key")
    return Authority(certificate, key)


def hub_name(authority_pem: bytes) -> str:
    """The hub's name as its authority's certificate states it."""
    subject = x509.load_pem_x509_certificate(authority_pem).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def issue_server(
    authority: Authority, hosts: Sequence[str], *, lifetime: timedelta = timedelta(days=30)
) -> tuple[bytes, bytes]:
    """A server key and certificate for the given host names and addresses, as PEM.

    The server renews it by itself, see `rpc.tls`.
    """
    key = new_private_key()
    certificate = _issue(
        authority,
        key.public_key(),
        [_host(host) for host in hosts],
        ExtendedKeyUsageOID.SERVER_AUTH,
        lifetime,
    )
    return private_key_pem(key), certificate.public_bytes(serialization.Encoding.PEM)


def issue_party(
    authority: Authority, request_der: bytes, party: PartyId, *, lifetime: timedelta
) -> x509.Certificate:
    """Certify the key of a certificate request for a party.

    Only the request's public key is used: names in it are ignored.

    Raises:
        EnrolmentError: the request cannot be read, its key is not P-256, or it is not signed by
            that key.
    """
    try:
        request = x509.load_der_x509_csr(request_der)
        key = request.public_key()
        valid = request.is_signature_valid
    except (ValueError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion):
        raise EnrolmentError("the certificate request cannot be read") from None
    if not valid:
        raise EnrolmentError("the certificate request is not signed by its own key")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise EnrolmentError("the certificate request's key is not an ECDSA P-256 key")
    return _issue(
        authority,
        key,
        [x509.UniformResourceIdentifier(party.uri)],
        ExtendedKeyUsageOID.CLIENT_AUTH,
        lifetime,
    )


def make_request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A PKCS#10 certificate request, DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def party_of(certificate_pem: bytes, hub: str) -> PartyId:
    """Who a verified client certificate speaks for; see `credential_of`."""
    return credential_of(certificate_pem, hub).party


def credential_of(certificate_pem: bytes, hub: str) -> Credential:
    """What a verified client certificate says.

    Raises:
        UnauthenticatedError: it names no party of this hub.
    """
    refused = UnauthenticatedError("the client certificate names no party of this hub")
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (
        ValueError,
        x509.ExtensionNotFound,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ):
        raise refused from None
    match = _URI.fullmatch(uris[0]) if len(uris) == 1 else None
    if match is None or match[1] != hub or match[2] not in set(Role):
        raise refused
    party = PartyId(match[1], Role(match[2]), match[3])
    return Credential(party, serial_of(certificate), certificate.not_valid_after_utc)


def serial_of(certificate: x509.Certificate) -> str:
    """Its serial number, 40 hex digits."""
    return f"{certificate.serial_number:040x}"


def expires(certificate_pem: bytes) -> datetime:
    return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + lifetime)
    )


def _issue(
    authority: Authority,
    key: ec.EllipticCurvePublicKey,
    names: Sequence[x509.GeneralName],
    usage: x509.ObjectIdentifier,
    lifetime: timedelta,
) -> x509.Certificate:
    issuer = authority.certificate
    return (
        _builder(x509.Name([]), issuer.subject, key, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
