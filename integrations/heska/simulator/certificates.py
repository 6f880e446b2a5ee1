"""TLS on the simulator's one port, with certificates made when the first connection asks for one.

`private` is signed by an authority of this run alone: whoever trusts that file finds everything in
order, everybody else an unknown authority. `expired` and `wrong-host` are signed by the same one,
so that they are refused for this one reason; `self-signed` is signed by nobody.

Imported only when a connection speaks TLS: it takes a tenth of a second, and `cryptography`.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import ssl
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOSTS = ("localhost", "127.0.0.1", "::1")
WRONG_HOSTS = ("somebody-else.example",)
DAY = datetime.timedelta(days=1)

Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


class Certificates:
    """Contexts by kind, each made once."""

    def __init__(self, host: str) -> None:
        self._hosts = tuple(dict.fromkeys((*HOSTS, host)))
        self._lock = threading.Lock()
        self._made: dict[str, ssl.SSLContext] = {}

    def context(self, kind: str) -> ssl.SSLContext:
        """What a connection is to be wrapped in."""
        with self._lock:
            if kind not in self._made:
                self._made[kind] = _context(*self._pair(kind))
            return self._made[kind]

    @property
    def authority(self) -> bytes:
        """The certificate (PEM) of the authority, for whoever wants to trust it."""
        with self._lock:
            return self._signer[1].public_bytes(Encoding.PEM)

    @functools.cached_property
    def _signer(self) -> Pair:
        return _issue("Heska simulator, a test authority", (), 30 * DAY, None, authority=True)

    def _pair(self, kind: str) -> Pair:
        hosts = WRONG_HOSTS if kind == "wrong-host" else self._hosts
        ends_in = -DAY if kind == "expired" else 30 * DAY
        signer = None if kind == "self-signed" else self._signer
        return _issue(hosts[0], hosts, ends_in, signer)


def _issue(
    name: str,
    hosts: Iterable[str],
    ends_in: datetime.timedelta,
    signer: Pair | None,
    *,
    authority: bool = False,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signing_key, issuer = (signer[0], signer[1].subject) if signer else (key, subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 30 * DAY)
        .not_valid_after(now + ends_in)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
    )
    names = [_name(host) for host in hosts]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return key, builder.sign(signing_key, hashes.SHA256())


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _context(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.TemporaryDirectory() as folder:  # load_cert_chain reads files only
        path = Path(folder) / "chain.pem"
        path.touch(mode=0o600)
        path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(path)
    return context
