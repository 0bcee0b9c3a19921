"""Access tokens of an OpenID provider: who comes in with one, how keys and tokens end, and what a driver does by itself."""

import json
import time

import pytest
from adbc_driver_flightsql import DatabaseOptions, OAuthFlowType, OAuthTokenType

import gate
from authority import Authority, trusting, variables
from test_adbc import SLOW

REGIONS = "SELECT count(*) FROM crm.customers.region"
# How often the gateway asks for keys in these tests.
REFRESH_S = 1
CLAIMS = {"user_claim": "preferred_username", "keys_refresh_s": REFRESH_S, "clock_skew_s": 0}


@pytest.fixture(scope="module")
def provider(new_provider):
    return new_provider()


@pytest.fixture(scope="module")
def oidc_gate(tpch_mesh, provider, tmp_path_factory):
    directory = tmp_path_factory.mktemp("oidc")
    variables = {"MESHGATE_LOG__FILTER": "debug"} | provider.configuration(**CLAIMS)
    process = gate.Gate(tpch_mesh, directory / "state", **variables).start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def tls(tpch_mesh, provider, tmp_path_factory):
    """A gateway that speaks TLS, without which drivers get no tokens by themselves, and the options to reach it."""
    directory = tmp_path_factory.mktemp("oidc-tls")
    authority = Authority(directory, "ours")
    server = authority.issue("gateway", ["127.0.0.1"])
    process = gate.Gate(tpch_mesh, directory / "state", **variables(server), **provider.configuration(**CLAIMS)).start()
    yield process, trusting(authority)
    process.kill()


def ask(process, token) -> list:
    with process.connect(token) as connection:
        return gate.fetch(connection, REGIONS)[0].to_pylist()


def refused(process, token) -> str:
    with pytest.raises(Exception) as error:
        ask(process, token)
    return str(error.value)


def trail(process) -> list[dict]:
    return [json.loads(line)["record"] for file in sorted((process.state / "audit").glob("audit-*.jsonl"))
            for line in file.read_text().splitlines()]


def last_principal(process) -> tuple:
    who = [record["principal"] for record in trail(process) if record.get("principal")][-1]
    return who["kind"], who["name"], who["groups"], who["authentication"]


def test_a_client_is_a_service(oidc_gate, provider):
    assert ask(oidc_gate, provider.token_of_client()) == [5]
    assert last_principal(oidc_gate) == ("service", "etl", ["loaders"], "oidc")


def test_a_person_is_a_user(oidc_gate, provider):
    tokens = provider.tokens_of_user("ana+analysts+eu")
    assert ask(oidc_gate, tokens["access_token"]) == [5]
    assert last_principal(oidc_gate) == ("user", "ana", ["analysts", "eu"], "oidc")
    # The identity token is for the client, and not for the gateway.
    assert "audience" in refused(oidc_gate, tokens["id_token"])


def test_a_token_as_password_and_in_meshgate_sql(oidc_gate, provider):
    token = provider.tokens_of_user("ben")["access_token"]
    with oidc_gate.connect(user="token", password=token) as connection:
        assert gate.fetch(connection, REGIONS)[0].to_pylist() == [5]
    answer = gate.run("sql", "--url", oidc_gate.url, "--token", token, "--format", "csv", REGIONS)
    assert answer.returncode == 0 and answer.stdout.split()[-1] == "5", answer.stderr


def test_the_driver_gets_its_token_itself(tls, provider):
    """ADBC with the flow for programs (RFC 6749, 4.4)."""
    options = {
        DatabaseOptions.OAUTH_FLOW.value: OAuthFlowType.CLIENT_CREDENTIALS.value,
        DatabaseOptions.OAUTH_TOKEN_URI.value: f"{provider.issuer}/token",
        DatabaseOptions.OAUTH_CLIENT_ID.value: "etl+loaders",
        DatabaseOptions.OAUTH_CLIENT_SECRET.value: "s3cret",
    }
    process, trust = tls
    with process.connect(**trust, **options) as connection:
        assert gate.fetch(connection, REGIONS)[0].to_pylist() == [5]
    assert last_principal(process) == ("service", "etl", ["loaders"], "oidc")


def test_a_token_is_exchanged(tls, provider):
    """A user's identity token for an access token (RFC 8693). ADBC 1.13 has the flow, but tells the provider nothing of its
    client, which no provider takes that asks for one: whoever needs it exchanges the token first."""
    identity = provider.tokens_of_user("cleo+analysts")["id_token"]
    process, trust = tls
    with process.connect(provider.exchanged(identity), **trust) as connection:
        assert gate.fetch(connection, REGIONS)[0].to_pylist() == [5]
    assert last_principal(process) == ("user", "cleo", ["analysts"], "oidc")
    options = {
        DatabaseOptions.OAUTH_FLOW.value: OAuthFlowType.TOKEN_EXCHANGE.value,
        DatabaseOptions.OAUTH_TOKEN_URI.value: f"{provider.issuer}/token",
        DatabaseOptions.OAUTH_CLIENT_ID.value: "bi",
        DatabaseOptions.OAUTH_CLIENT_SECRET.value: "web",
        DatabaseOptions.OAUTH_EXCHANGE_SUBJECT_TOKEN.value: identity,
        DatabaseOptions.OAUTH_EXCHANGE_SUBJECT_TOKEN_TYPE.value: OAuthTokenType.ID_TOKEN.value,
    }
    with pytest.raises(Exception, match="no client authentication"):
        process.connect(**trust, **options)


def test_tokens_for_others_and_of_others(oidc_gate, provider, new_provider):
    assert "audience" in refused(oidc_gate, provider.token_of_client("urn:other"))
    other = refused(oidc_gate, new_provider().token_of_client())
    header, claims, signature = provider.token_of_client().split(".")
    for forged in (f"{header}.{claims}.{signature[:-4]}AAAA", f"{header}.{claims}.", f"{header}.{signature}.{claims}"):
        assert refused(oidc_gate, forged) == other, "one text for whatever no issuer signed"
    assert "unauthenticated" in other.lower()


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "EdDSA"])
def test_keys_of_every_kind_are_rotated(oidc_gate, provider, algorithm):
    old = provider.token_of_client()
    assert ask(oidc_gate, old) == [5]
    provider.tell(f"rotate {algorithm}")
    new = provider.token_of_client()
    # Keys that are older than a second are asked for again, and then the new one is there.
    gate.wait_until(lambda: accepted(oidc_gate, new), "the new key", 10, pause_s=0.1)
    assert ask(oidc_gate, old) == [5], "the key before is still published"
    provider.tell("withdraw")
    gate.wait_until(lambda: not accepted(oidc_gate, old), "the withdrawn key", 10, pause_s=0.1)
    assert ask(oidc_gate, new) == [5]


def accepted(process, token) -> bool:
    try:
        return ask(process, token) == [5]
    except Exception as error:  # any other failure is no refusal
        assert "unauthenticated" in str(error).lower(), error
        return False


def test_a_provider_that_is_away(serve, tpch_mesh, new_provider):
    provider = new_provider()
    token = provider.token_of_client()
    known = serve(tpch_mesh, **provider.configuration(**CLAIMS))
    assert ask(known, token) == [5]
    provider.tell("away")
    time.sleep(REFRESH_S + 0.5)
    assert ask(known, token) == [5], "the keys that are known serve on"
    new = serve(tpch_mesh, **provider.configuration(**CLAIMS))
    said = refused(new, token)
    assert "unavailable" in said.lower() and "identity provider" in said and provider.issuer not in said, said
    assert ask(new, new.token("ada")) == [5], "tokens of the gateway do not need it"
    assert "cannot be fetched" in new.log_text()
    provider.tell("back")
    gate.wait_until(lambda: reached(new, token), "the provider is back", 20, pause_s=0.2)


def reached(process, token) -> bool:
    try:
        return ask(process, token) == [5]
    except Exception as error:  # any other failure is none of the provider's
        assert "unavailable" in str(error).lower(), error
        return False


def test_a_token_that_expires_in_mid_session(serve, tpch_mesh, new_provider):
    """The statement that runs ends within seconds, the next is refused, and a new token carries on."""
    provider = new_provider(life_s=6)
    process = serve(tpch_mesh, **provider.configuration(**CLAIMS))
    with process.connect(provider.token_of_client()) as connection:
        gate.fetch(connection, REGIONS)
        begun = time.monotonic()
        with pytest.raises(Exception) as cut:
            gate.fetch(connection, SLOW)
        assert 2 < time.monotonic() - begun < 6 + 5, cut.value
        with pytest.raises(Exception, match="(?i)unauthenticated.*expired"):
            gate.fetch(connection, REGIONS)
    assert ask(process, provider.token_of_client()) == [5]


def test_no_token_is_kept(oidc_gate, provider):
    """Neither in the log, which tells everything here, nor in the audit trail, nor in the state."""
    tokens = [provider.token_of_client(), provider.tokens_of_user("dora")["access_token"]]
    for token in tokens:
        assert ask(oidc_gate, token) == [5]
    refused(oidc_gate, tokens[0][:-4] + "AAAA")
    kept = oidc_gate.log.read_bytes() + b"".join(file.read_bytes() for file in oidc_gate.state.rglob("*") if file.is_file())
    assert b"dora" in kept, "what is searched tells of the logins"
    for token in tokens:
        for part in token.split(".")[1:]:
            assert part[:40].encode() not in kept
