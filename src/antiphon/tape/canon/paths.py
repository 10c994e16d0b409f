"""Where a request goes, as far as it matters: the endpoint, without host and base path, and the query without secrets.

Base paths are where one server is mounted, not what is asked of it: ``/v1/v1/x``, ``/openai/v1/x``, ``/api/v1/x`` and
``/v1beta/openai/x`` are all ``/x``. Ids in a path stay as they are, because they name the thing that is asked for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote

from antiphon.tape.model import Headers

_VERSION = re.compile(r"v[0-9]+(?:(?:alpha|beta)[0-9]*|(?:\.[0-9]+)+)?")
_SECRET = re.compile(
    r"(?:x-)?(?:goog-)?(?:(?:api|access|subscription|function)[-_]?)?key"
    r"|(?:(?:access|api|auth|bearer|id|refresh|security|session)[-_]?)?token"
    r"|sig|signature|auth|authorization|credentials?|password|passwd|secret|(?:client|api)[-_]?secret"
    r"|subscription-key|awsaccesskeyid|x-(?:amz|goog)-[a-z-]+",
    re.IGNORECASE,
)


def split(url: str) -> tuple[str, Headers]:
    """Path and query pairs of a URL, whatever it looks like."""
    rest, _, query = url.partition("#")[0].partition("?")
    if "://" in rest:
        rest = rest.partition("://")[2].partition("/")[2]
    return "/" + rest.lstrip("/"), tuple(parse_qsl(query, keep_blank_values=True)) if query else ()


@lru_cache(maxsize=1024)
def endpoint(path: str) -> str:
    """The path without its base path, in one spelling.

    The base path reaches to the first version or ``openai`` and what follows of the kind; a last version other than
    ``v1`` stays, since it is another API. ``/openai/deployments/NAME`` keeps ``/deployments/NAME``: the name chooses
    the model.
    """
    parts = [quote(unquote(part), safe="!$&'()*+,;=:@~") if "%" in part else part for part in path.split("/") if part]
    start = next((at for at, part in enumerate(parts) if _is_base(part) and "models" not in parts[:at]), None)
    if start is None:
        return "/" + "/".join(parts)
    end = start
    while end < len(parts) and _is_base(parts[end]):
        end += 1
    if parts[end - 1] not in ("v1", "openai"):
        end -= 1
    # Nothing behind it: then it is not a base path.
    return "/" + "/".join(parts[end:] or parts)


def _is_base(part: str) -> bool:
    return part == "openai" or _VERSION.fullmatch(part) is not None


def asked(query: Headers) -> list[list[str]]:
    """The query in order of names, without what looks like a credential. Values of one name keep their order."""
    return sorted(([name, value] for name, value in query if not _SECRET.fullmatch(name)), key=lambda pair: pair[0])
