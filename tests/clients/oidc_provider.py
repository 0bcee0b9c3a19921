"""An OpenID provider in a process of its own, and people and programs who log in to it."""

import http.cookiejar
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ANSWER_LIMIT_S = 20
REDIRECT = "http://127.0.0.1/callback"
CLIENTS = [
    {"client_id": "etl+loaders", "client_secret": "s3cret"},
    {"client_id": "bi", "client_secret": "web", "redirect_uris": [REDIRECT], "response_types": ["code"],
     "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"]},
]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Provider:
    """`provider.mjs`, from start to end."""

    def __init__(self, directory: Path, life_s: int = 600):
        script = directory / "provider.mjs"
        self.process = subprocess.Popen(["node", script, json.dumps(CLIENTS), str(life_s)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.issuer = self._answer()["issuer"]

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the provider ended with {self.process.wait(10)}")
        return json.loads(line)

    def tell(self, command: str):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        self._answer()

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def configuration(self, **more) -> dict:
        """[[identity.oidc]] as the environment says it."""
        keys = {"issuer": self.issuer, "audience": "meshgate"} | more
        shown = ", ".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        return {"MESHGATE_IDENTITY__OIDC": f"[{{{shown}}}]"}

    def token_of_client(self, resource: str = "urn:meshgate") -> str:
        """The client `etl` acts for itself, in the group `loaders` (RFC 6749, 4.4)."""
        return self._token("etl+loaders", "s3cret", grant_type="client_credentials", resource=resource)["access_token"]

    def tokens_of_user(self, name: str, resource: str = "urn:meshgate") -> dict:
        """Somebody logs in with a browser (RFC 6749, 4.1): an access token and an identity token."""
        browser = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), NoRedirect())
        query = {"client_id": "bi", "response_type": "code", "redirect_uri": REDIRECT, "scope": "openid read",
                 "resource": resource}
        page, form = f"{self.issuer}/auth?{urllib.parse.urlencode(query)}", None
        while not page.startswith(REDIRECT):
            # A page is a form or leads on to another.
            if "/interaction/" in page and form is None:
                form = self._form(browser, page, name)
            try:
                browser.open(page, form, timeout=ANSWER_LIMIT_S)
                raise RuntimeError(f"the provider stays at {page}")
            except urllib.error.HTTPError as answer:
                if answer.code not in (302, 303):
                    raise
                page, form = urllib.parse.urljoin(page, answer.headers["Location"]), None
        [code] = urllib.parse.parse_qs(urllib.parse.urlsplit(page).query)["code"]
        return self._token("bi", "web", grant_type="authorization_code", code=code, redirect_uri=REDIRECT)

    def exchanged(self, identity: str) -> str:
        """An access token for a user's identity token (RFC 8693)."""
        kind = "urn:ietf:params:oauth:token-type:id_token"
        grant = "urn:ietf:params:oauth:grant-type:token-exchange"
        return self._token("bi", "web", grant_type=grant, subject_token=identity, subject_token_type=kind)["access_token"]

    def _form(self, browser, page: str, name: str) -> bytes:
        shown = browser.open(page, timeout=ANSWER_LIMIT_S).read().decode()
        fields = {"prompt": "login", "login": name, "password": "any"} if 'name="login"' in shown else {"prompt": "consent"}
        return urllib.parse.urlencode(fields).encode()

    def _token(self, client: str, secret: str, **fields) -> dict:
        fields |= {"client_id": client, "client_secret": secret}
        request = urllib.request.Request(f"{self.issuer}/token", urllib.parse.urlencode(fields).encode())
        try:
            return json.load(urllib.request.urlopen(request, timeout=ANSWER_LIMIT_S))
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{error}: {error.read().decode()}") from None
