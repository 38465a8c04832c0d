"""`http.request`: one HTTP request per attempt, made on behalf of a definition nobody vouches for.

`request` holds the actor; `urls` and `headers` check what the config asks for, `guard` checks the
addresses behind it, `transport` connects, `response` reads the answer. What must stay true:

- No connection is made to an address that was not checked, neither at first nor after a redirect.
- Neither errors nor logs contain values of the query or of headers, which may be secrets: a place
  is shown as `scheme://host/path`. The path is shown.
- Importing this package does not import httpx; the first request does.
"""

from engine.library.http.errors import HttpError, HttpRejected, HttpTransportError
from engine.library.http.request import http_request
from engine.library.http.response import HttpResponse

__all__ = ["HttpError", "HttpRejected", "HttpResponse", "HttpTransportError", "http_request"]
