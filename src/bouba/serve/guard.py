"""What stands before every request: whose it is, where it was sent, how large it is; and what every answer carries."""

from __future__ import annotations

import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, unquote

from bouba.serve.limits import Limits, Refusal
from bouba.serve.metrics import Metrics

log = logging.getLogger("bouba")
COOKIE = "bouba_token"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; media-src data:; frame-ancestors 'none'"
)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Guard:
    """Wraps an ASGI application.

    Args:
        token: that the API wants; None for none. hosts: names under which it may be called, None for any.
        origins: from which other pages may read the API.
    """

    def __init__(
        self,
        app: Any,
        *,
        limits: Limits,
        metrics: Metrics,
        token: str | None = None,
        hosts: tuple[str, ...] | None = LOOPBACK,
        origins: tuple[str, ...] = (),
    ):
        self.app, self.limits, self.metrics = app, limits, metrics
        self.token, self.hosts, self.origins = token, hosts, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        started, status, begun = time.perf_counter(), 500, False
        self.metrics.in_flight += 1

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message.get("headers", ()), *self._carried(scope, headers)]
            await send(message)

        try:
            if not await self._answered_here(scope, headers, sending):
                await self.app(scope, self._bounded(receive), sending)
        except Refusal as refusal:
            if not begun:
                await _refuse(sending, refusal)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if not begun:
                await _refuse(sending, Refusal(500, "the server failed to answer; its log says why"))
        finally:
            self.metrics.in_flight -= 1
            route = getattr(scope.get("route"), "path", None) or "other"
            self.metrics.note(scope["method"], route, status, time.perf_counter() - started)

    async def _answered_here(self, scope: Scope, headers: dict[str, str], send: Send) -> bool:
        """Refuse what must not go on, and answer what need not."""
        if self.hosts is not None and _host(headers.get("host", "")) not in self.hosts:
            raise Refusal(400, f"this server answers to {', '.join(self.hosts)}; open it under one of these names")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.limits.upload_bytes:
            raise self._too_large()
        if scope["method"] == "OPTIONS" and headers.get("origin") in self.origins:
            await _answer(send, 204, b"", [(b"access-control-allow-methods", b"GET, POST")])
            return True
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if self.token is not None and scope["path"] == "/" and "token" in query:
            return await self._let_in(query["token"][0], send)
        if self.token is not None and not _is_open(scope["path"]) and not self._knows(headers):
            raise Refusal(401, "this server wants its token: Authorization: Bearer TOKEN, or open /?token=TOKEN once")
        return False

    async def _let_in(self, given: str, send: Send) -> bool:
        """Keep a right token in a cookie, so that it leaves the address."""
        cookie = []
        if hmac.compare_digest(given.encode(), (self.token or "").encode()):
            value = f"{COOKIE}={given}; Path=/; HttpOnly; SameSite=Strict"
            cookie = [(b"set-cookie", value.encode("latin-1", "ignore"))]
        await _answer(send, 303, b"", [(b"location", b"/"), *cookie])
        return True

    def _knows(self, headers: dict[str, str]) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = [bearer.strip()] if scheme.lower() == "bearer" else []
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        given += [unquote(cookie.value)] if cookie is not None else []
        return any(hmac.compare_digest(each.encode(), (self.token or "").encode()) for each in given)

    def _bounded(self, receive: Receive) -> Receive:
        """The body in parts until it is too large; its length need not be known before."""
        size = 0

        async def receiving() -> MutableMapping[str, Any]:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.limits.upload_bytes:
                raise self._too_large()
            return message

        return receiving

    def _too_large(self) -> Refusal:
        return Refusal(413, f"an upload has {self.limits.upload_bytes / 1e6:g} MB at most; send a smaller file")

    def _carried(self, scope: Scope, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
        """Headers of every answer."""
        policy = REPORT_POLICY if scope["path"].startswith("/report/") else PAGE_POLICY
        carried = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
        }
        if headers.get("origin") in self.origins:
            carried |= {
                "access-control-allow-origin": headers["origin"],
                "access-control-allow-headers": "authorization, content-type",
                "cross-origin-resource-policy": "cross-origin",
                "vary": "origin",
            }
        return [(name.encode(), value.encode("latin-1")) for name, value in carried.items()]


def _is_open(path: str) -> bool:
    """Whether a path holds nothing of the runs."""
    return path == "/" or path.startswith("/static/") or path == "/api/v1/health"


def _host(given: str) -> str:
    """The name without the port."""
    if given.startswith("["):
        return given.partition("]")[0].lower() + "]"
    return given.partition(":")[0].lower()


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = json.dumps({"error": refusal.sentence}, ensure_ascii=False).encode()
    more = [] if refusal.retry_after is None else [(b"retry-after", str(refusal.retry_after).encode())]
    more += [(b"www-authenticate", b"Bearer")] if refusal.status == 401 else []
    await _answer(send, refusal.status, body, [(b"content-type", b"application/json"), *more])


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = [] if status == 204 else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})
