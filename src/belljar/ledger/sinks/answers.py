"""A `requests` session that hears a receiver out, but not without end: the SDK would read an answer
of any length into memory, and follow it to another address."""

from __future__ import annotations

import io
import time

import requests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_MOST: Final = 1 << 16
_PATIENCE: Final = 10.0
_REDIRECTS: Final = range(300, 400)


class Session(requests.Session):
    """As `requests.Session`; of an answer 64 KiB and ten seconds, and no redirect is followed.

    `status` and `answer` are of the last one; 0 and nothing before it.

    >>> Session().status
    0
    """

    status = 0
    answer = b""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """As `requests.Session.send`. Raises `requests.TooManyRedirects` for the first one."""
        self.forget()
        response = super().send(request, **{**options, "stream": True, "allow_redirects": False})
        self.answer = _heard(response)
        self.status = response.status_code
        response.raw = io.BytesIO(self.answer)
        if self.status in _REDIRECTS:  # `Response.ok` would be true
            raise requests.TooManyRedirects(f"HTTP {self.status}", response=response)
        return response

    def forget(self) -> None:
        """Forget the last answer."""
        self.status, self.answer = 0, b""


def _heard(response: requests.Response) -> bytes:
    """What came, byte by byte, so that one that drips ends in time; usually there are none."""
    data, end = bytearray(), time.monotonic() + _PATIENCE
    try:
        while len(data) < _MOST and time.monotonic() < end:
            byte = response.raw.read(1, decode_content=True)
            if not byte:
                return bytes(data)
            data += byte
    except Exception as error:  # urllib3's own: broken connections, unknown encodings
        raise requests.ConnectionError(str(error)) from error
    response.raw.close()  # there is more: the connection is of no further use
    return bytes(data)
