"""A certificate says who calls, and only the hub decides what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from linkage.errors import EnrolmentError, UnauthenticatedError
from linkage.trust.identity import (
    Authority,
    PartyId,
    Role,
    hub_name,
    issue_party,
    issue_server,
    load_authority,
    make_authority,
    make_request,
    new_private_key,
    party_of,
)

HOUR = timedelta(hours=1)
SHERIFF = PartyId("prairie", Role.PARTNER, "sheriff")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority("prairie")


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _request(key, *names: x509.GeneralName) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sheriff")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)


def _certificate(authority: Authority, *names: x509.GeneralName) -> bytes:
    """A certificate the authority really signed, with whatever names."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.certificate.subject)
        .public_key(new_private_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + HOUR)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return _pem(builder.sign(authority.key, hashes.SHA256()))


@pytest.mark.parametrize("role", list(Role))
def test_a_certificate_names_its_party(authority: Authority, role: Role) -> None:
    party = PartyId("prairie", role, "sheriff")
    leaf = issue_party(authority, make_request(new_private_key(), "sheriff"), party, lifetime=HOUR)
    assert party_of(_pem(leaf), "prairie") == party


def test_the_certificate_is_for_clients_only_and_short_lived(authority: Authority) -> None:
    leaf = issue_party(
        authority, make_request(new_private_key(), "sheriff"), SHERIFF, lifetime=HOUR
    )
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.not_valid_after_utc - datetime.now(UTC) <= HOUR
    leaf.verify_directly_issued_by(authority.certificate)


def test_names_inside_a_request_are_ignored(authority: Authority) -> None:
    """Whoever asks for the steward's name in its request gets its own."""
    wanted = x509.UniformResourceIdentifier(PartyId("prairie", Role.STEWARD, "steward").uri)
    request = _request(new_private_key(), wanted, x509.DNSName("localhost"))
    leaf = issue_party(authority, request, SHERIFF, lifetime=HOUR)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == [SHERIFF.uri]


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-384", "secp256k1", "RSA", "Ed25519"],
)
def test_a_key_of_another_kind_is_refused(authority: Authority, key) -> None:
    with pytest.raises(EnrolmentError, match="P-256"):
        issue_party(authority, _request(key), SHERIFF, lifetime=HOUR)


def test_an_altered_request_is_refused(authority: Authority) -> None:
    request = bytearray(make_request(new_private_key(), "sheriff"))
    request[-1] ^= 1
    with pytest.raises(EnrolmentError):
        issue_party(authority, bytes(request), SHERIFF, lifetime=HOUR)


@pytest.mark.parametrize("request_der", [b"", b"0", b"\x30\x82\xff\xff", b"\0" * 4096])
def test_what_is_no_request_is_refused(authority: Authority, request_der: bytes) -> None:
    with pytest.raises(EnrolmentError, match="cannot be read"):
        issue_party(authority, request_der, SHERIFF, lifetime=HOUR)


URI = x509.UniformResourceIdentifier


@pytest.mark.parametrize(
    "names",
    [
        [],
        [x509.DNSName("sheriff")],
        [URI("spiffe://elsewhere/partner/sheriff")],
        [URI("spiffe://prairie/king/sheriff")],
        [URI("spiffe://prairie/partner/sheriff"), URI("spiffe://prairie/steward/steward")],
        [URI("spiffe://prairie/partner/sheriff/steward")],
        [URI("spiffe://prairie/partner/Sheriff")],
        [URI("spiffe://prairie/partner/")],
        [URI("https://prairie/partner/sheriff")],
        [URI("spiffe://prairie/partner/sheriff\n")],
    ],
    ids=["none", "dns", "hub", "role", "two", "longer", "case", "empty", "scheme", "newline"],
)
def test_other_names_are_no_party(authority: Authority, names: list[x509.GeneralName]) -> None:
    with pytest.raises(UnauthenticatedError):
        party_of(_certificate(authority, *names), "prairie")


def test_garbage_is_no_certificate() -> None:
    with pytest.raises(UnauthenticatedError):
        party_of(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "prairie")


def test_the_authority_survives_its_file(authority: Authority) -> None:
    loaded = load_authority(authority.certificate_pem, authority.key_pem)
    assert loaded.certificate == authority.certificate
    assert hub_name(authority.certificate_pem) == "prairie"


def test_the_authority_signs_no_authority(authority: Authority) -> None:
    limits = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert limits.ca
    assert limits.path_length == 0


def test_a_server_certificate_names_hosts_and_addresses(authority: Authority) -> None:
    _, pem = issue_server(authority, ["hub.example", "127.0.0.1", "::1"])
    leaf = x509.load_pem_x509_certificate(pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["hub.example"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
