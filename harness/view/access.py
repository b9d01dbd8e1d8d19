"""Who may ask, and what a browser may do with the answer: a token, this machine's name, and strict headers.

A web page that is open in the same browser can send requests to a server on this machine, and a host name of its own
can be made to lead here. So every request needs the token (in its address once, in a cookie then), names the host as
this machine, and whatever changes something comes from our own pages.
"""

from hmac import compare_digest
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer: nothing from elsewhere, no script or style in a page, nothing kept."""

_LARGEST = 1 << 20  # bytes of what is sent to us; a decision has a few hundred


class Gatekeeper:
    """Lets only requests through that carry the token, name this machine, and, if they change something, are ours."""

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        """Protect `app`, which listens on `port`."""
        self.app, self.token = app, token
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self.cookie = f"s5eval_{port}"  # cookies do not tell ports apart

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say why not."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refused = self._refusal(scope)
        await (refused or self.app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, method = Headers(scope=scope), scope["method"]
        if headers.getlist("host") not in [[host] for host in self.hosts]:
            return _refuse(421, "This server answers to 127.0.0.1 alone.")
        if method not in ("GET", "HEAD", "POST"):
            return _refuse(405, "Pages are read, and decisions are saved; nothing else.")
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if method == "GET" and len(given) == 1 and self._is_token(given[0]):
            return self._welcome(scope, [(name, value) for name, value in query if name != "token"])
        if not any(map(self._is_token, _cookies(headers, self.cookie))):
            return _refuse(403, "The address has no valid token: open the one that s5eval view has printed.")
        if method == "POST":
            return self._foreign(headers)
        return None

    def _is_token(self, given: str) -> bool:
        return compare_digest(given.encode(), self.token.encode())

    def _welcome(self, scope: Scope, query: list[tuple[str, str]]) -> Response:
        """The token moves from the address, which is shown and kept, into a cookie that no script can read."""
        address = quote(scope["path"]) + (f"?{urlencode(query)}" if query else "")
        response = RedirectResponse(f"/{address.lstrip('/')}", status_code=303)
        response.set_cookie(self.cookie, self.token, path="/", httponly=True, samesite="strict")
        return response

    def _foreign(self, headers: Headers) -> Response | None:
        """A request that changes something, and does not come from a page of ours."""
        if headers.get("origin") not in {f"http://{host}" for host in self.hosts}:
            return _refuse(403, "Sent by another page.")
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refuse(415, "Expected application/json.")
        length = headers.get("content-length", "")
        if not length.isdecimal() or len(length) > len(str(_LARGEST)) or int(length) > _LARGEST:
            return _refuse(413, "Expected a length, of less than a megabyte.")
        return None


def _cookies(headers: Headers, name: str) -> list[str]:
    """The values of a cookie. Browsers send those of all servers of this machine, whatever the port: one that follows
    no standard, as many do, must not hide ours, as it does for `http.cookies`.
    """
    pairs = (pair.strip().partition("=") for line in headers.getlist("cookie") for pair in line.split(";"))
    return [value for key, _, value in pairs if key == name]


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status)
