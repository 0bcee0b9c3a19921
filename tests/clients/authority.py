"""Certificates for tests of TLS, and the options that clients and gateways take them by."""

import datetime
import ipaddress
from pathlib import Path

from adbc_driver_flightsql import DatabaseOptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """A certificate authority whose files lie in one directory."""

    def __init__(self, directory: Path, name: str):
        self.directory, self.name = directory, name
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self.private, self.private)
        self.file = self._write(f"{name}.crt", pem(self.certificate))

    def issue(self, name: str, addresses=(), names=(), life_s: float = 2 * 86400) -> tuple[Path, Path]:
        """Files of a certificate and of its key: for a server with addresses, else for a client, which may have names such
        as `dns:etl.example.org` or `uri:spiffe://example.org/etl` besides its common one."""
        private = ec.generate_private_key(ec.SECP256R1())
        alternatives = [x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one)
                        for one in addresses]
        kinds = {"dns": x509.DNSName, "uri": x509.UniformResourceIdentifier, "email": x509.RFC822Name}
        alternatives += [kinds[one.partition(":")[0]](one.partition(":")[2]) for one in names]
        use = ExtendedKeyUsageOID.SERVER_AUTH if addresses else ExtendedKeyUsageOID.CLIENT_AUTH
        certificate = self._sign(name, private, self.private, life_s, use, alternatives)
        key = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return self._write(f"{self.name}-{name}.crt", pem(certificate)), self._write(f"{self.name}-{name}.key", key)

    def _sign(self, name, private, signer, life_s=2 * 86400, use=None, alternatives=()):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(seconds=life_s))
            .add_extension(x509.BasicConstraints(ca=use is None, path_length=None), critical=True)
        )
        if use:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(signer, hashes.SHA256())

    def _write(self, name: str, content: bytes) -> Path:
        file = self.directory / name
        file.write_bytes(content)
        file.chmod(0o600)
        return file


def pem(certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def variables(server, **more) -> dict:
    """[flight.tls] as the environment says it."""
    files = {"certificate": server[0], "key": server[1]} | more
    return {f"MESHGATE_FLIGHT__TLS__{key.upper()}": file for key, file in files.items()}


def trusting(authority: Authority, client=None) -> dict:
    """Options of ADBC: whom to trust, and with which certificate to come."""
    options = {DatabaseOptions.TLS_ROOT_CERTS.value: authority.file.read_text()}
    if client:
        options[DatabaseOptions.MTLS_CERT_CHAIN.value] = client[0].read_text()
        options[DatabaseOptions.MTLS_PRIVATE_KEY.value] = client[1].read_text()
    return options
