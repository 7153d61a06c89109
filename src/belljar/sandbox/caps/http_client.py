"""HTTP requests by method, host and path, with headers that the guest never sees."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from time import monotonic

from belljar.sandbox.bridge.exposure import Exposure
from belljar.sandbox.bridge.failures import Refusal
from belljar.sandbox.caps.http_rules import Place, checked_headers, place_of, read_rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from ssl import SSLContext
    from typing import Any


class HttpClient:
    """Requests that a rule allows: a guest gets `request(method, url, headers={}, body=None)`,
    which gives `{"status": 200, "headers": [(name, value), ...], "body": b"..."}`.

    A rule is methods and a URL: `GET,HEAD https://api.example.com/v1/*`. A `*` at the end stands
    for any path beneath and any query; without it, the path is this one, and there is no query.
    `headers` are added to every request, and stand before the guest's own: a token goes here.
    Redirects are answers like others and not followed; no proxy and no cookie is used. `seconds` is
    how long one request may take, `most` how many bytes each of the two bodies may have. Raises
    `ValueError` for a rule that is none.

    >>> web = HttpClient(["GET https://api.example.com/v1/*"], headers={"Authorization": "..."})
    >>> box.share("web", web)  # doctest: +SKIP
    """

    __belljar__ = Exposure(methods=("request",))

    def __init__(
        self,
        rules: Iterable[str],
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = 30,
        most: int = 16 << 20,
        context: SSLContext | None = None,
    ) -> None:
        if isinstance(rules, str):
            raise TypeError("a list of rules, not one text")
        self._rules = tuple(read_rule(text) for text in rules)
        self._headers = dict(headers or {})
        self._fixed = {name.lower() for name in self._headers}
        self._seconds = seconds
        self._most = most
        self._context = context

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> dict[str, Any]:
        """One request and its answer. Raises `PermissionError` for what no rule allows."""
        if type(method) is not str or type(url) is not str:
            raise TypeError("a method and a URL are texts")
        if body is not None and (type(body) is not bytes or len(body) > self._most):
            raise ValueError(f"a body is at most {self._most} bytes")
        own = checked_headers(headers or {})
        place = place_of(url)
        if place is None or not any(rule.allows(method, place) for rule in self._rules):
            raise Refusal("PermissionError", "the host allows no such request")
        sent = {name: value for name, value in own.items() if name.lower() not in self._fixed}
        try:
            return self._answer(method, place, {**sent, **self._headers}, body)
        except HTTPException as error:
            raise Refusal("ConnectionError", f"no answer: {type(error).__name__}") from None

    def _answer(
        self, method: str, place: Place, headers: dict[str, str], body: bytes | None
    ) -> dict[str, Any]:
        end = monotonic() + self._seconds
        connection: HTTPConnection
        if place.scheme == "https":
            connection = HTTPSConnection(
                place.host, place.port, timeout=self._seconds, context=self._context
            )
        else:
            connection = HTTPConnection(place.host, place.port, timeout=self._seconds)
        try:
            connection.request(method, place.target, body, headers)
            answer = connection.getresponse()
            parts, left = [], self._most + 1
            while left > 0:
                if monotonic() > end:
                    raise TimeoutError("the answer takes too long")
                part = answer.read1(min(left, 65536))
                if not part:
                    break
                parts.append(part)
                left -= len(part)
            if left <= 0:
                raise ValueError(f"the answer has more than {self._most} bytes")
            found = answer.getheaders()
            return {"status": answer.status, "headers": found, "body": b"".join(parts)}
        finally:
            connection.close()
