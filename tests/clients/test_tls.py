"""TLS on the Flight port: who is let in over it, who is refused, and whom a certificate stands for."""

import json
import shutil
import socket
import ssl
import time

import pyarrow.flight as flight
import pytest
from adbc_driver_flightsql import DatabaseOptions
from cryptography.hazmat.primitives import serialization

import gate
from authority import Authority, trusting, variables

REGIONS = "SELECT count(*) FROM crm.customers.region"
# A client that waits longer for a refusal hangs.
REFUSAL_LIMIT_S = 20


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """An authority that nobody here trusts."""
    return Authority(tmp_path_factory.mktemp("others"), "others")


@pytest.fixture(scope="module")
def server(ours):
    return ours.issue("gateway", ["gate.example.org", "127.0.0.1"])


@pytest.fixture(scope="module")
def tls_gate(tpch_mesh, server, tmp_path_factory):
    process = gate.Gate(tpch_mesh, tmp_path_factory.mktemp("tls") / "state", **variables(server)).start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def mutual_gate(tpch_mesh, ours, server, tmp_path_factory):
    """A gateway that only clients with a certificate of ours reach; it is configured by a file."""
    directory = tmp_path_factory.mktemp("mutual")
    config = directory / "meshgate.toml"
    config.write_text(f'[flight.tls]\ncertificate = "{server[0]}"\nkey = "{server[1]}"\nclient_ca = "{ours.file}"\n')
    process = gate.Gate(tpch_mesh, directory / "state", "--config", config).start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def client_certificate(ours):
    return ours.issue("client")


def refused(call):
    """What a client says that is refused, which must not take long."""
    begun = time.monotonic()
    with pytest.raises(Exception) as error:
        call()
    assert time.monotonic() - begun < REFUSAL_LIMIT_S, "the refusal was slow"
    return str(error.value)


def ask(process, token, **options):
    with process.connect(token, **options) as connection:
        return gate.fetch(connection, REGIONS)[0].to_pylist()


def ask_flight(url, token, **options):
    with flight.FlightClient(url, **options) as client:
        with_token = [(b"authorization", f"Bearer {token}".encode())]
        call = flight.FlightCallOptions(headers=with_token, timeout=REFUSAL_LIMIT_S)
        info = client.get_flight_info(gate.statement(REGIONS), call)
        return client.do_get(info.endpoints[0].ticket, call).read_all()[0].to_pylist()


def ask_sql(process, token, *arguments, url=None, **environment):
    return gate.run("sql", "--url", url or process.url, "--token", token, "--format", "csv", *arguments, REGIONS,
                    limit_s=REFUSAL_LIMIT_S, **environment)


def test_adbc(tls_gate, ours):
    token = tls_gate.token("ada")
    assert ask(tls_gate, token, **trusting(ours)) == [5]
    assert ask(tls_gate, token, **{DatabaseOptions.TLS_SKIP_VERIFY.value: "true"}) == [5]
    named = trusting(ours) | {DatabaseOptions.TLS_OVERRIDE_HOSTNAME.value: "gate.example.org"}
    assert ask(tls_gate, token, **named) == [5]
    wrong_name = trusting(ours) | {DatabaseOptions.TLS_OVERRIDE_HOSTNAME.value: "elsewhere.example.org"}
    assert "elsewhere.example.org" in refused(lambda: ask(tls_gate, token, **wrong_name))


def test_pyarrow(tls_gate, ours):
    assert ask_flight(tls_gate.url, tls_gate.token("ada"), tls_root_certs=ours.file.read_bytes()) == [5]


def test_sql(tls_gate, ours):
    token = tls_gate.token("ada")
    for answer in [ask_sql(tls_gate, token, "--tls-ca", ours.file),
                   ask_sql(tls_gate, token, MESHGATE_TLS_CA=ours.file),
                   # The authorities of the system are those of this file.
                   ask_sql(tls_gate, token, SSL_CERT_FILE=ours.file)]:
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.split()[-1] == "5"


def test_many_rows(tls_gate, ours):
    """More than one record of TLS, and more than one message."""
    with tls_gate.connect(tls_gate.token("ada"), **trusting(ours)) as connection:
        rows = gate.fetch(connection, "SELECT * FROM sales.orders.lineitem")
        assert rows.num_rows == gate.fetch(connection, "SELECT count(*) FROM sales.orders.lineitem")[0][0].as_py()


def test_the_gateway_says_that_it_speaks_tls(tls_gate, tpch_gate):
    address = tls_gate.ready["flight"]
    assert tls_gate.ready["flight_url"] == f"grpc+tls://{address}" and f"grpc+tls://{address}" in tls_gate.log_text()
    assert tpch_gate.ready["flight_url"] == f"grpc://{tpch_gate.ready['flight']}"


def test_an_authority_that_is_not_trusted(tls_gate, others):
    token = tls_gate.token("ada")
    refused(lambda: ask(tls_gate, token, **trusting(others)))
    refused(lambda: ask(tls_gate, token))
    refused(lambda: ask_flight(tls_gate.url, token, tls_root_certs=others.file.read_bytes()))
    for answer in [ask_sql(tls_gate, token, "--tls-ca", others.file), ask_sql(tls_gate, token)]:
        assert answer.returncode == 1 and not answer.stdout
        assert "--tls-ca" in answer.stderr and token not in answer.stderr, answer.stderr


def test_sql_names_what_is_wrong(tls_gate, tpch_gate, ours, tmp_path):
    token = tls_gate.token("ada")
    nothing = tmp_path / "nothing.crt"
    nothing.write_text("no certificate\n")
    absent = tmp_path / "absent.crt"
    plain = tpch_gate.url.replace("grpc://", "grpc+tls://")
    for answer, code, said in [
        (ask_sql(tls_gate, token, "--tls-ca", nothing), 2, [str(nothing), "no certificate in PEM"]),
        (ask_sql(tls_gate, token, "--tls-ca", absent), 2, [str(absent), "cannot be read"]),
        (ask_sql(tpch_gate, token, "--tls-ca", ours.file), 2, ["without TLS", "grpc+tls://"]),
        (ask_sql(tls_gate, token, "--tls-ca", ours.file, url=plain), 1, ["does it speak TLS?"]),
        (ask_sql(tls_gate, token, "--tls-ca", ours.file, url=tls_gate.url.replace("127.0.0.1", "localhost")), 1,
         ["another name", "gate.example.org"]),
        (ask_sql(tls_gate, token, "--tls-ca", ours.file, url="grpc+tls://[::1]:1"), 1, ["no gateway answers"]),
    ]:
        assert answer.returncode == code and not answer.stdout, answer.stderr
        assert all(part in answer.stderr for part in said), answer.stderr


def test_a_client_without_tls(tls_gate, ours):
    token, address = tls_gate.token("ada"), tls_gate.ready["flight"]
    refused(lambda: ask_flight(f"grpc+tcp://{address}", token))
    answer = ask_sql(tls_gate, token, url=f"grpc://{address}")
    assert answer.returncode == 1 and "grpc+tls://" in answer.stderr, answer.stderr
    # One that speaks HTTP/1.1, and one that says nothing at all, hold up nobody.
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=REFUSAL_LIMIT_S) as silent:
        with socket.create_connection((host, int(port)), timeout=REFUSAL_LIMIT_S) as wrong:
            wrong.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while wrong.recv(4096):
                pass
        assert ask(tls_gate, token, **trusting(ours)) == [5]
        assert silent.recv(1) == b"", "a silent client is waited for"


@pytest.mark.parametrize("version, works", [
    (ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
    (ssl.TLSVersion.TLSv1_3, True),
])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_versions(tls_gate, ours, version, works):
    context = ssl.create_default_context(cafile=ours.file)
    # What the library refuses by itself would say nothing of the gateway.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = version, version
    context.set_alpn_protocols(["h2"])
    host, port = tls_gate.ready["flight"].split(":")
    with socket.create_connection((host, int(port)), timeout=REFUSAL_LIMIT_S) as connection:
        if not works:
            with pytest.raises(ssl.SSLError, match="(?i)alert (protocol version|handshake failure)"):
                context.wrap_socket(connection, server_hostname=host)
            return
        with context.wrap_socket(connection, server_hostname=host) as session:
            assert session.selected_alpn_protocol() == "h2"


def test_client_certificates(mutual_gate, ours, client_certificate):
    token = mutual_gate.token("ada")
    assert ask(mutual_gate, token, **trusting(ours, client_certificate)) == [5]
    certificate, key = (file.read_bytes() for file in client_certificate)
    roots = ours.file.read_bytes()
    with_one = {"tls_root_certs": roots, "cert_chain": certificate, "private_key": key}
    assert ask_flight(mutual_gate.url, token, **with_one) == [5]


def test_client_certificates_of_nobody(mutual_gate, ours, others):
    token = mutual_gate.token("ada")
    refused(lambda: ask(mutual_gate, token, **trusting(ours)))
    refused(lambda: ask(mutual_gate, token, **trusting(ours, others.issue("client"))))
    # A certificate for servers, and the right certificate with another's key, are none for a client.
    refused(lambda: ask(mutual_gate, token, **trusting(ours, ours.issue("server", ["localhost"]))))
    refused(lambda: ask_flight(mutual_gate.url, token, tls_root_certs=ours.file.read_bytes()))
    answer = ask_sql(mutual_gate, token, "--tls-ca", ours.file)
    assert answer.returncode == 1 and not answer.stdout, answer.stderr
    assert "a certificate from its clients" in answer.stderr, answer.stderr


def test_a_certificate_is_no_identity(mutual_gate, ours):
    """A certificate in somebody's name lets nobody in without a token, and with one changes not who that is."""
    options = trusting(ours, ours.issue("admin"))
    for credential in [None, "mg_wrong"]:
        assert "unauthenticated" in refused(lambda: ask(mutual_gate, credential, **options)).lower()
    assert ask(mutual_gate, mutual_gate.token("eve"), **options) == [5]
    trail = [json.loads(line)["record"] for file in (mutual_gate.state / "audit").glob("audit-*.jsonl")
             for line in file.read_text().splitlines()]
    names = [who["name"] for record in trail if (who := record.get("principal"))]
    assert names[-1] == "eve" and "admin" not in names, names


def test_files_that_cannot_be_used(tpch_mesh, tmp_path, ours, server):
    """Each is a wrong configuration that names key, file and reason, and quotes nothing of a key."""
    certificate, key = server
    _, other_key = ours.issue("other", ["localhost"])
    absent, nothing, binary, broken = (tmp_path / name for name in ["absent.pem", "nothing.pem", "binary.der", "broken.pem"])
    nothing.write_text("nothing\n")
    binary.write_bytes(ours.certificate.public_bytes(serialization.Encoding.DER))
    broken.write_text(certificate.read_text().replace("M", "!", 1))
    encrypted = tmp_path / "encrypted.key"
    encrypted.write_bytes(ours.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")))
    for files, said in [
        ({"certificate": absent}, ["flight.tls.certificate", str(absent), "cannot be read"]),
        ({"certificate": nothing}, ["flight.tls.certificate", str(nothing), "no certificate in PEM"]),
        ({"certificate": binary}, ["flight.tls.certificate", str(binary), "no PEM file"]),
        ({"certificate": broken}, ["flight.tls.certificate", str(broken)]),
        ({"certificate": key}, ["flight.tls.certificate", str(key), "no certificate in PEM"]),
        ({"key": absent}, ["flight.tls.key", str(absent), "cannot be read"]),
        ({"key": certificate}, ["flight.tls.key", str(certificate), "no private key in PEM"]),
        ({"key": encrypted}, ["flight.tls.key", str(encrypted), "encrypted"]),
        ({"key": other_key}, ["flight.tls.key", str(other_key), "not the key of the certificate", str(certificate)]),
        ({"client_ca": absent}, ["flight.tls.client_ca", str(absent), "cannot be read"]),
        ({"client_ca": key}, ["flight.tls.client_ca", str(key), "no certificate in PEM"]),
    ]:
        ended = gate.run("serve", "--mesh", tpch_mesh, "--state", tmp_path / "state", "--flight-listen", "127.0.0.1:0",
                         "--http-listen", "127.0.0.1:0", limit_s=60, **variables(server, **files))
        assert ended.returncode == 78, f"{files}: {ended.stderr}"
        assert all(part in ended.stderr for part in said), ended.stderr
        assert not any(line in ended.stderr for line in key.read_text().splitlines()[1:-1]), ended.stderr


def test_a_key_that_everybody_can_read(serve, tpch_mesh, ours):
    certificate, key = ours.issue("open", ["127.0.0.1"])
    key.chmod(0o644)
    warned = serve(tpch_mesh, **variables((certificate, key)))
    assert str(key) in warned.log_text() and "chmod" in warned.log_text()


def test_drains(serve, tpch_mesh, ours, server):
    process = serve(tpch_mesh, **variables(server))
    with process.connect(process.token("ada"), **trusting(ours)) as connection:
        gate.fetch(connection, REGIONS)
        process.process.terminate()
        assert process.process.wait(60) == 0


SERVICES = """[
  {certificate = "uri:spiffe://example.org/etl", service = "etl", groups = ["loaders"], attributes = {region = "eu"}},
  {certificate = "cn:reports", service = "reports"},
]""".replace("\n", " ")


@pytest.fixture(scope="module")
def services_gate(tpch_mesh, ours, server, tmp_path_factory):
    """A gateway that knows some services by their certificates, and asks others for something else."""
    more = {"MESHGATE_IDENTITY__MTLS": SERVICES, "MESHGATE_FLIGHT__TLS__CLIENT_CERTIFICATES": "optional"}
    state = tmp_path_factory.mktemp("services") / "state"
    process = gate.Gate(tpch_mesh, state, **variables(server, client_ca=ours.file), **more).start()
    yield process
    process.kill()


def last_principal(process):
    trail = [json.loads(line)["record"] for file in sorted((process.state / "audit").glob("audit-*.jsonl"))
             for line in file.read_text().splitlines()]
    who = [record["principal"] for record in trail if record.get("principal")][-1]
    return who["kind"], who["name"], who["groups"], who["authentication"]


def test_a_certificate_stands_for_a_service(services_gate, ours):
    etl = ours.issue("any", names=["dns:any.example.org", "uri:spiffe://example.org/etl"])
    assert ask(services_gate, None, **trusting(ours, etl)) == [5]
    assert last_principal(services_gate) == ("service", "etl", ["loaders"], "certificate")
    assert ask(services_gate, None, **trusting(ours, ours.issue("reports"))) == [5]
    assert last_principal(services_gate) == ("service", "reports", [], "certificate")
    # A token says more than the certificate of the connection.
    assert ask(services_gate, services_gate.token("ada"), **trusting(ours, etl)) == [5]
    assert last_principal(services_gate)[:2] == ("user", "ada")
    assert ask(services_gate, services_gate.token("bob"), **trusting(ours)) == [5], "a certificate is not required here"


def test_other_certificates_stand_for_nobody(services_gate, ours, others):
    stranger = ours.issue("stranger", names=["uri:spiffe://example.org/etl/2", "dns:reports"])
    said = refused(lambda: ask(services_gate, None, **trusting(ours, stranger)))
    assert "unauthenticated" in said.lower() and "stands for no service" in said, said
    assert "credential" in refused(lambda: ask(services_gate, None, **trusting(ours)))
    refused(lambda: ask(services_gate, None, **trusting(ours, others.issue("reports"))))
    etl = ours.issue("any", names=["uri:spiffe://example.org/etl"])
    assert "unauthenticated" in refused(lambda: ask(services_gate, "mg_wrong", **trusting(ours, etl))).lower(), \
        "a wrong token is not made good by a certificate"


def test_a_certificate_ends_on_an_open_connection(services_gate, ours):
    short = ours.issue("reports", life_s=4)
    with services_gate.connect(**trusting(ours, short)) as connection:
        assert gate.fetch(connection, REGIONS)[0].to_pylist() == [5]
        gate.wait_until(lambda: "expired" in failure(connection), "the certificate's end", 15, pause_s=0.2)


def failure(connection) -> str:
    try:
        gate.fetch(connection, REGIONS)
        return ""
    except Exception as error:
        return str(error)


def test_a_renewed_certificate(serve, tpch_mesh, ours, others, tmp_path):
    """New connections get what the files say now; open ones go on; what cannot be used changes nothing."""
    files = tmp_path / "gateway.crt", tmp_path / "gateway.key"

    def put(authority):
        for source, target in zip(authority.issue("renewed", ["127.0.0.1"]), files):
            shutil.copy(source, target)

    put(ours)
    process = serve(tpch_mesh, **variables(files))
    token = process.token("ada")
    with process.connect(token, **trusting(ours)) as connection:
        assert gate.fetch(connection, REGIONS)[0].to_pylist() == [5]
        put(others)
        gate.wait_until(lambda: reaches(process, token, others), "the new certificate", 15, pause_s=0.2)
        refused(lambda: ask(process, token, **trusting(ours)))
        assert gate.fetch(connection, REGIONS)[0].to_pylist() == [5], "the open connection goes on"
    files[0].write_text("nothing\n")
    gate.wait_until(lambda: "stays in force" in process.log_text(), "the complaint", 15)
    assert str(files[0]) in process.log_text()
    assert ask(process, token, **trusting(others)) == [5]
    put(ours)
    gate.wait_until(lambda: reaches(process, token, ours), "the mended certificate", 15, pause_s=0.2)


def reaches(process, token, authority) -> bool:
    try:
        return ask(process, token, **trusting(authority)) == [5]
    except Exception as error:  # any other failure is none of the certificate's
        assert "certificate" in str(error) or "handshake" in str(error), error
        return False
