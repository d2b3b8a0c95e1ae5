"""Who sends is proved by a key, a token or a certificate, and decides whose telemetry it is."""

import base64
import hmac
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import msgspec
import pytest
import trustme
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from jobs.errors import SentinelError
from jobs.ingestion.auth.api_keys import KeyRing, new_key, read_keys, write_keys
from jobs.ingestion.auth.caller import Credentials, ForbiddenError, UnauthenticatedError
from jobs.ingestion.auth.gatekeeper import AuthSettings, Gatekeeper, refuse_open_to_the_world
from jobs.ingestion.auth.token_settings import TokenSettings
from jobs.ingestion.http.server import split_address
from schemas.time import from_at_ms
from tests.ingestion import EVENT, running
from tests.otlp import resource_spans, span

NOW_S = 1_790_000_000
NOW_MS = NOW_S * 1_000
SETTINGS = TokenSettings(issuer="https://id.example", audience="sentinel", jwks="jwks.json")
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "sentinel",
    "exp": NOW_S + 60,
    "sub": "ci",
    "tenant": "acme",
}
BODY = msgspec.json.encode(EVENT)
JSON = {"content-type": "application/json"}


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_a_key_names_its_tenant_and_is_kept_as_a_hash() -> None:
    key, record = new_key("acme", note="checkout")
    document = write_keys((record,))
    secret = key.partition(f"{record.id}_")[2]
    assert secret
    assert secret.encode() not in document
    assert KeyRing(read_keys(document)).caller(key, NOW_MS).tenant == "acme"


def test_keys_that_are_unknown_wrong_or_expired_prove_nothing() -> None:
    key, record = new_key("acme", expires_at=from_at_ms(NOW_MS))
    other, _ = new_key("acme")
    ring = KeyRing((record,))
    assert ring.caller(key, NOW_MS - 1).tenant == "acme"
    flipped = key[:-1] + ("A" if key[-1] != "A" else "B")
    for wrong in (flipped, other, "", key + "x", key.upper()):
        with pytest.raises(UnauthenticatedError):
            ring.caller(wrong, NOW_MS - 1)
    with pytest.raises(UnauthenticatedError, match="expired"):
        ring.caller(key, NOW_MS)


def test_a_disabled_key_is_forbidden() -> None:
    key, record = new_key("acme")
    with pytest.raises(ForbiddenError):
        KeyRing((msgspec.structs.replace(record, disabled=True),)).caller(key, NOW_MS)


@pytest.mark.parametrize(
    ("document", "problem"),
    [(b"keys: [{id: x}]", "keys"), (b"kyes: []", "kyes"), (b"keys: [", "not YAML")],
)
def test_what_is_wrong_with_a_file_of_keys_is_said(document: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_bytes(document)
    with pytest.raises(SentinelError, match=f"keys.yaml is not valid: .*{problem}"):
        Gatekeeper(AuthSettings(keys="keys.yaml"), tmp_path)


# --- Tokens -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def signing() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})


@pytest.fixture
def check(signing: RSAKey, tmp_path: Path) -> Callable[[str], str]:
    """Return a function from a token to its tenant."""
    (tmp_path / "jwks.json").write_bytes(msgspec.json.encode(KeySet([signing]).as_dict(private=False)))
    gatekeeper = Gatekeeper(AuthSettings(jwt=SETTINGS), tmp_path, clock=lambda: NOW_S)
    return lambda token: gatekeeper.caller(Credentials(authorization=f"Bearer {token}")).tenant


def signed(key: Any, claims: dict[str, Any], algorithm: str = "RS256", **header: Any) -> str:
    named = {"alg": algorithm, "kid": "k1", **header}
    return jwt.encode(named, claims, key, algorithms=[algorithm])


def test_a_good_token_names_its_tenant(check: Callable[[str], str], signing: RSAKey) -> None:
    assert check(signed(signing, CLAIMS)) == "acme"
    assert check(signed(signing, CLAIMS | {"aud": ["other", "sentinel"]}, typ="at+jwt")) == "acme"


@pytest.mark.parametrize(
    "claims",
    [
        CLAIMS | {"exp": NOW_S - 31},
        CLAIMS | {"nbf": NOW_S + 31},
        CLAIMS | {"iss": "https://other.example"},
        CLAIMS | {"aud": "other"},
        *({key: value for key, value in CLAIMS.items() if key != missing} for missing in ("exp", "iss", "aud")),
    ],
    ids=["expired", "early", "issuer", "audience", "no-exp", "no-iss", "no-aud"],
)
def test_tokens_for_others_or_other_times_prove_nothing(
    claims: dict[str, Any], check: Callable[[str], str], signing: RSAKey
) -> None:
    with pytest.raises(UnauthenticatedError):
        check(signed(signing, claims))


def test_forged_tokens_prove_nothing(check: Callable[[str], str], signing: RSAKey) -> None:
    """The attacks of RFC 8725, section 2: no signature, a public key as a secret, another key, another type."""
    good = signed(signing, CLAIMS)
    head, body, mark = good.split(".")
    # What a verifier takes for good that uses the public key as an HMAC secret.
    confused = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k1"}').rstrip(b"=").decode() + f".{body}"
    mac = hmac.digest(signing.as_pem(private=False), confused.encode(), "sha256")
    forged = [
        f"eyJhbGciOiJub25lIn0.{body}.",
        f"{confused}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}",
        signed(RSAKey.generate_key(2048, {"kid": "k1"}), CLAIMS),
        signed(RSAKey.generate_key(2048, {"kid": "k2"}), CLAIMS, kid="k2"),
        signed(ECKey.generate_key("P-256", {"kid": "k1"}), CLAIMS, "ES256"),
        signed(signing, CLAIMS, "RS384"),
        signed(signing, CLAIMS, typ="logout+jwt"),
        f"{head}.{body}.{mark[:-4]}AAAA",
        f"{head}.{body}",
        "not a token",
        "e30.e30.e30",
        good + "x" * 9_000,
    ]
    for token in forged:
        with pytest.raises(UnauthenticatedError):
            check(token)


@pytest.mark.parametrize("tenant", [None, "", 5, ["acme"], "a\x1fb", "x" * 257])
def test_a_token_that_names_no_tenant_is_forbidden(tenant: Any, check: Callable[[str], str], signing: RSAKey) -> None:
    with pytest.raises(ForbiddenError):
        check(signed(signing, CLAIMS | {"tenant": tenant}))


def test_a_token_is_not_believed_longer_than_it_is_good(signing: RSAKey, tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(msgspec.json.encode(KeySet([signing]).as_dict(private=False)))
    now = [float(NOW_S)]
    gatekeeper = Gatekeeper(AuthSettings(jwt=SETTINGS), tmp_path, clock=lambda: now[0])
    credentials = Credentials(authorization=f"Bearer {signed(signing, CLAIMS | {'exp': NOW_S + 10})}")
    assert gatekeeper.caller(credentials).tenant == "acme"
    now[0] += 41
    with pytest.raises(UnauthenticatedError):
        gatekeeper.caller(credentials)


def test_new_keys_of_the_issuer_are_found(signing: RSAKey, tmp_path: Path) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(msgspec.json.encode(KeySet([signing]).as_dict(private=False)))
    now = [float(NOW_S)]
    gatekeeper = Gatekeeper(AuthSettings(jwt=SETTINGS), tmp_path, clock=lambda: now[0])
    second = RSAKey.generate_key(2048, {"kid": "k2", "use": "sig"})
    credentials = Credentials(authorization=f"Bearer {signed(second, CLAIMS, kid='k2')}")
    jwks.write_bytes(msgspec.json.encode(KeySet([second]).as_dict(private=False)))
    with pytest.raises(UnauthenticatedError):
        gatekeeper.caller(credentials)
    now[0] += 30
    assert gatekeeper.takes_time(credentials)
    assert gatekeeper.caller(credentials).tenant == "acme"


# --- At the ports -----------------------------------------------------------------------------------------------------


def test_the_tenant_is_that_of_the_credential_whatever_the_event_says(tmp_path: Path) -> None:
    key, record = new_key("acme")
    off, disabled = new_key("acme")
    (tmp_path / "keys.yaml").write_bytes(write_keys((record, msgspec.structs.replace(disabled, disabled=True))))
    with running(tmp_path, "auth: {keys: keys.yaml}") as front:
        url = "/v1/events"
        body = msgspec.json.encode(EVENT | {"tenant_id": "other"})
        for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}):
            answer = front.client.post(url, content=body, headers=JSON | headers)
            assert answer.status_code == 202, answer.text
        assert {event.tenant_id for event in front.events()} == {"acme"}
        nobody = front.client.post(url, content=BODY, headers=JSON)
        assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="llm-sentinel"')
        assert "API key" in nobody.json()["detail"]
        forbidden = front.client.post(url, content=BODY, headers=JSON | {"x-api-key": off})
        assert forbidden.status_code == 403
        # The ledger is the tenant's own.
        ledger = front.client.get("/v1/ledger", headers={"x-api-key": key}).json()
        assert (ledger["received"], ledger["delivered"], ledger["unaccounted"]) == (2, 2, 0)
        assert front.client.get("/v1/ledger").status_code == 401
        assert front.client.get("/healthz").status_code == 200

        method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
        with grpc.insecure_channel(front.grpc) as channel:
            call = channel.unary_unary(method)
            assert call(b"", metadata=(("authorization", f"Bearer {key}"),), timeout=20) == b""
            for metadata, code in (
                ((), grpc.StatusCode.UNAUTHENTICATED),
                ((("x-api-key", off),), grpc.StatusCode.PERMISSION_DENIED),
            ):
                with pytest.raises(grpc.RpcError) as failure:
                    call(b"", metadata=metadata, timeout=20)
                assert failure.value.code() is code


def test_keys_are_read_again_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    first, one = new_key("acme")
    second, two = new_key("globex")
    file = tmp_path / "keys.yaml"
    file.write_bytes(write_keys((one,)))
    gatekeeper = Gatekeeper(AuthSettings(keys="keys.yaml"), tmp_path)
    file.write_bytes(write_keys((two,)))
    gatekeeper.reload()
    assert gatekeeper.caller(Credentials(api_key=second)).tenant == "globex"
    with pytest.raises(UnauthenticatedError):
        gatekeeper.caller(Credentials(api_key=first))
    file.write_text("keys: 5")
    with pytest.raises(SentinelError):
        gatekeeper.reload()
    assert gatekeeper.caller(Credentials(api_key=second)).tenant == "globex"


def test_a_client_certificate_names_its_tenant(tmp_path: Path) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    server.private_key_pem.write_to_path(tmp_path / "key.pem")
    server.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    document = """
      tls: {certificate: cert.pem, key: key.pem, client_ca: ca.pem}
      auth: {certificates: {checkout.acme.example: acme}}
    """
    with running(tmp_path, document) as front:
        url = front.http.replace("http:", "https:") + "/v1/events"

        def context(*names: str) -> ssl.SSLContext:
            made = ssl.create_default_context()
            authority.configure_trust(made)
            if names:
                authority.issue_cert(*names).configure_cert(made)
            return made

        def post(*names: str) -> int:
            return httpx.post(url, content=BODY, headers=JSON, verify=context(*names), trust_env=False).status_code

        assert post("checkout.acme.example") == 202
        assert [event.tenant_id for event in front.events()] == ["acme"]
        assert post("stranger.example") == 403
        with pytest.raises(httpx.TransportError):
            post()

        client = authority.issue_cert("checkout.acme.example")
        credentials = grpc.ssl_channel_credentials(
            (tmp_path / "ca.pem").read_bytes(),
            client.private_key_pem.bytes(),
            b"".join(each.bytes() for each in client.cert_chain_pems),
        )
        method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        with grpc.secure_channel(front.grpc, credentials) as channel:
            body = ExportTraceServiceRequest(resource_spans=[resource_spans(span({"gen_ai.request.model": "gpt-4o"}))])
            assert channel.unary_unary(method)(body.SerializeToString(), timeout=20) == b""
        assert [event.tenant_id for event in front.events()] == ["acme"]


@pytest.mark.parametrize("address", ["0.0.0.0:4318", "[::]:4318", "sentinel.example:4318"])
def test_nobody_else_can_reach_an_open_port(address: str) -> None:
    host, _ = split_address(address)
    with pytest.raises(SentinelError, match="auth"):
        refuse_open_to_the_world(AuthSettings(), (host,))
    refuse_open_to_the_world(AuthSettings(), ("127.0.0.1", "::1", "localhost"))
