"""Secure connections: real certificates, good and bad, on real sockets."""

import datetime
import ipaddress
import ssl
import time

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from maestro_api import NO_RETRY, DeadlineExceeded, TLSFailed
from maestro_api.session import DeadlineAdapter, tls_context
from tests.maestro_api.conftest import WORKFLOW, answer

EMPTY_LIST = b'{"data":[]}'


def certificate(host, *, days=2, issuer=None):
    """A key and certificate for `host`, self-signed or signed by `issuer` (key, certificate)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    try:
        alternative = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[1].subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[0].public_key()), critical=False
        )
    else:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())


def server_context(tmp_path, key, cert):
    path = tmp_path / f"{cert.serial_number}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + cert.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def trusting_session(ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca.public_bytes(serialization.Encoding.PEM).decode())
    session = requests.Session()
    session.mount("https://", DeadlineAdapter(loopback=True, context=context))
    return session


@pytest.fixture(scope="module")
def authority():
    return certificate("Test Authority")


def test_a_good_certificate_is_accepted(raw_server, client_of, tmp_path, authority):
    """E-4: the counterpart of the refusals below, so that they mean something."""
    server = raw_server(answer(EMPTY_LIST), server_context(tmp_path, *certificate("127.0.0.1", issuer=authority)))
    listing = client_of(server, session=trusting_session(authority[1])).list_workflows()
    assert listing.response.status == 200


@pytest.mark.parametrize("flaw", ["self-signed", "expired", "wrong host"])
@pytest.mark.parametrize("verify", [True, False])
def test_a_bad_certificate_is_refused(raw_server, client_of, tmp_path, authority, flaw, verify):
    """E-4: also when a session asks not to verify; nothing was sent, and it counts as a TLS failure."""
    made = {
        "self-signed": lambda: certificate("127.0.0.1"),
        "expired": lambda: certificate("127.0.0.1", days=-1, issuer=authority),
        "wrong host": lambda: certificate("evil.test", issuer=authority),
    }[flaw]()
    server = raw_server(answer(EMPTY_LIST), server_context(tmp_path, *made))
    session = trusting_session(authority[1])
    session.verify = verify
    with pytest.raises(TLSFailed) as caught:
        client_of(server, session=session).trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={})
    assert not caught.value.may_have_happened
    assert caught.value.attempts == 1
    assert server.requests == []


def test_a_dripping_tls_server_obeys_the_deadline_too(raw_server, client_of, tmp_path, authority):
    """E-6: the deadline holds inside a secure connection."""

    def serve(connection, _):
        for byte in answer(EMPTY_LIST.ljust(500)):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    server = raw_server(serve, server_context(tmp_path, *certificate("127.0.0.1", issuer=authority)))
    client = client_of(server, session=trusting_session(authority[1]), retry=NO_RETRY)
    with pytest.raises(DeadlineExceeded):
        client.list_workflows(deadline=0.5)


def test_old_tls_is_not_offered():
    """E-4: TLS 1.2 at least, certificates and host names checked, no key log."""
    context = tls_context()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.keylog_filename is None
