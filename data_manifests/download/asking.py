"""Asking a web server, and how long to wait before it is asked again.

Proxies are those of the environment (`https_proxy`, `no_proxy`).
"""

import contextlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from s5eval.data_manifests.common.errors import DataError

RETRIED_STATUS = (408, 429, 500, 502, 503, 504)
"""What may be another answer when it is asked again."""

_LONGEST_WAIT = 300.0  # seconds that a server may ask for and get


def ask(url: str, headers: Mapping[str, str], timeout: float) -> http.client.HTTPResponse:
    """The answer of a server, to be read and closed; it is given `timeout` seconds for each part of it.

    Raises:
        HTTPError: an answer of an error's status.
        OSError, HTTPException: the connection failed.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "s5eval", **headers})
    # An opener of its own sees the proxy variables as they are now.
    answer: http.client.HTTPResponse = urllib.request.build_opener().open(request, timeout=timeout)
    return answer


def wait_for(error: urllib.error.HTTPError, url: str, pause: float, attempt: int) -> float:
    """Seconds until the next try: what the server asks for, and no less than the tries' own pauses.

    Raises:
        DataError: it asks for more than anybody would sit and wait.
    """
    asked = error.headers.get("Retry-After", "").strip() if error.headers else ""
    seconds = 0.0
    if asked.isdecimal():
        seconds = float(asked)
    elif asked:
        with contextlib.suppress(ValueError, TypeError):
            seconds = parsedate_to_datetime(asked).timestamp() - time.time()
    if seconds > _LONGEST_WAIT:
        raise DataError(
            f"{url}: the server is busy and asks to be left alone for {seconds:.0f} s; run again after that"
        )
    return max(pause * float(2**attempt), seconds)
