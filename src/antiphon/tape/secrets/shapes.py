"""Secrets known by their shape: the prefixes that providers give their keys, tokens, private keys, credentials in URLs.

A prefix counts only where a token can begin. In a path or after a hyphen, where slugs of news articles hold ``sk-`` by
chance, the rest must also not read like words.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from antiphon.tape.marks import PLACEHOLDER
from antiphon.tape.secrets.hits import Hit, words
from antiphon.tape.secrets.names import keyish, secret_span

# (kind, prefix, body). Bodies are as short as a key can be, not as long as they are today.
_TABLE = (
    ("sk key", r"sk-", r"[A-Za-z0-9_-]{12,}"),
    ("openai session", r"sess-", r"[A-Za-z0-9]{32,}"),
    ("stripe key", r"[spr]k_(?:live|test)_", r"[A-Za-z0-9]{10,}"),
    ("webhook secret", r"whsec_", r"[A-Za-z0-9+/=]{20,}"),
    ("aws key id", r"A(?:KIA|SIA|BIA|CCA|GPA|IDA|ROA)", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("github token", r"gh[opurs]_", r"[A-Za-z0-9]{20,}"),
    ("github token", r"github_pat_", r"[A-Za-z0-9_]{20,}"),
    ("gitlab token", r"gl(?:pat|dt|rt|ptt|agent|soat|cbt|ft|imt|oas)-", r"[A-Za-z0-9_.-]{16,}"),
    ("slack token", r"xox[a-z]-", r"[A-Za-z0-9-]{10,}"),
    ("slack token", r"xapp-", r"[A-Za-z0-9-]{16,}"),
    ("google key", r"AIza", r"[A-Za-z0-9_-]{30,}"),
    ("google token", r"ya29\.", r"[A-Za-z0-9_-]{20,}"),
    ("google secret", r"GOCSPX-", r"[A-Za-z0-9_-]{16,}"),
    ("hugging face token", r"hf_", r"[A-Za-z0-9]{20,}"),
    ("groq key", r"gsk_", r"[A-Za-z0-9]{20,}"),
    ("xai key", r"xai-", r"[A-Za-z0-9]{20,}"),
    ("nvidia key", r"nvapi-", r"[A-Za-z0-9_-]{20,}"),
    ("tavily key", r"tvly-", r"[A-Za-z0-9_-]{12,}"),
    ("replicate token", r"r8_", r"[A-Za-z0-9]{20,}"),
    ("perplexity key", r"pplx-", r"[A-Za-z0-9]{20,}"),
    ("cerebras key", r"csk-", r"[A-Za-z0-9]{20,}"),
    ("fireworks key", r"fw_", r"[A-Za-z0-9]{20,}"),
    ("firecrawl key", r"fc-", r"[a-f0-9]{32}(?![A-Za-z0-9])"),
    ("brave key", r"BSA", r"[A-Za-z0-9_-]{24,}"),
    ("jina key", r"jina_", r"[A-Za-z0-9_-]{20,}"),
    ("pinecone key", r"pcsk_", r"[A-Za-z0-9_]{20,}"),
    ("langfuse key", r"pk-lf-", r"[a-f0-9-]{20,}"),
    ("langsmith key", r"lsv2_", r"[A-Za-z0-9_]{20,}"),
    ("databricks token", r"dapi", r"[a-f0-9]{32}(?![A-Za-z0-9])"),
    ("sendgrid key", r"SG\.", r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("npm token", r"npm_", r"[A-Za-z0-9]{30,}"),
    ("pypi token", r"pypi-", r"[A-Za-z0-9_-]{40,}"),
    ("digitalocean token", r"do[opr]_v1_", r"[a-f0-9]{40,}"),
    ("shopify token", r"shp(?:at|ca|pa|ss)_", r"[A-Fa-f0-9]{20,}"),
    ("docker token", r"dckr_pat_", r"[A-Za-z0-9_-]{20,}"),
    ("vault token", r"hv[sbr]\.", r"[A-Za-z0-9_-]{20,}"),
    ("atlassian token", r"ATATT3", r"[A-Za-z0-9_=-]{30,}"),
    ("linear key", r"lin_api_", r"[A-Za-z0-9]{20,}"),
    ("notion token", r"ntn_", r"[A-Za-z0-9]{30,}"),
    ("e2b key", r"e2b_", r"[a-f0-9]{30,}"),
    ("json web token", r"eyJ", r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
)

#: No token of this table is shorter.
RUN = 14

# Where a token can begin: after anything but a letter or digit, or after an escape that ends in one. Both patterns
# begin with what stands before it, a class of few characters, which is found ten times faster than a look back.
# (No groups in here: with them every alternative is tried to its end.)
_TOKENS = "|".join(prefix + body for _, prefix, body in _TABLE)
_PLAIN = re.compile(f"[^A-Za-z0-9](?:{_TOKENS})")
_ESCAPED = re.compile(rf"(\\(?:[bfnrt]|u[0-9A-Fa-f]{{4}})|%[0-9A-Fa-f]{{2}})(?:{_TOKENS})")
_EACH = [(kind, re.compile(f"{prefix}({body})")) for kind, prefix, body in _TABLE]
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^\"'<>{}`]*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|(?:[A-Za-z0-9+/=\s]|\\[nr]|\\\\[nr])*)"
)
_ACCOUNT_KEY = re.compile(r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{20,}={0,2})")
_BEARER = re.compile(r"(?i)(?:(?<![A-Za-z])|(?<=\\[bfnrt]))bearer(?:\s|%20|\+)+([A-Za-z0-9._~+/-]{16,}={0,2})")
_BASIC = re.compile(r"(?i)(?:(?<![A-Za-z])|(?<=\\[bfnrt]))basic(?:\s|%20|\+)+([A-Za-z0-9+/_-]{8,}={0,2})")
_USERINFO = re.compile(r"://([^\s/?#:@\"'<>\\`]*):([^\s\"'\\`@]+(?:@[^\s/?#\"'\\`@]+)*)@(?=[A-Za-z0-9\[_])")
# Stars, a placeholder, or a port and the path behind it (``host:8080/package@1.2``).
_NO_PASSWORD = re.compile(rf"[*xX.]+|<[^<>]*>|<+|(?:{PLACEHOLDER.pattern})+|\d{{1,5}}[/?#].*")
_PARAMETER = re.compile(r"(?:(?<=[?&;])|\A)([A-Za-z][A-Za-z0-9_.-]{0,39})=([^&;#\s\"'<>\\`(){}]+|\{\{env:\w+\}\})")
_HEADER = re.compile(
    r"(?i)(?<![A-Za-z0-9_-])((?:[a-z]+-)*(?:api-?key|access-?key|subscription-key|auth-token|access-token|private-token"
    r"|security-token|gitlab-token)|(?:proxy-)?authorization|(?:set-)?cookie):[ \t]*([^\s\"'<>\\,`{}]{8,}"
    r"|[A-Za-z]+ [^\s\"'<>\\,`{}]{8,})"
)
_FIELD = re.compile(
    r"(?P<q>[\"'])(?P<name>[A-Za-z][A-Za-z0-9_. -]{1,39})(?P=q)\s*[:=]\s*"
    r"(?:\"(?P<d>(?:[^\"\\]|\\.)*)(?:\"|\\?\Z)|'(?P<s>(?:[^'\\\n]|\\.)*)')",
    re.DOTALL,
)
_STAND_INS = words("password passwd pass pwd secret token user x xxx")


def shapes(text: str) -> Iterator[Hit]:
    """Tokens with a provider's prefix, and private keys."""
    for start in _starts(text):
        kind, m = next((kind, m) for kind, pattern in _EACH if (m := pattern.match(text, start)))
        body, tight = m[1], start > 0 and text[start - 1] in "/_-.%"
        if len(set(body)) >= 5 and likely(body, tight=tight):
            yield Hit(start, m.end(), m[0], kind, not _slug(body))
    if "PRIVATE KEY" in text:
        for m in _PEM.finditer(text):
            if m.end() - m.start() > 60:
                yield Hit(m.start(), m.end(), m[0], "private key")
    for m in _ACCOUNT_KEY.finditer(text) if "Key=" in text else ():
        yield Hit(m.start(1), m.end(1), m[1], "account key")


def shaped(runs: str) -> bool:
    """Whether a token could be among these runs of characters, which have a line each."""
    return next(_starts(runs), None) is not None


def _starts(text: str) -> Iterator[int]:
    """Where tokens begin."""
    text = " " + text
    escaped = list(_ESCAPED.finditer(text)) if "\\" in text or "%" in text else []
    yield from (m.end(1) - 1 for m in escaped)
    at = 0
    while m := _PLAIN.search(text, at):
        # A token's last character may stand before another one; nothing else of it may.
        last = next((e.end() - 1 for e in escaped if e.start() <= m.start() < e.end() - 1), 0)
        if last:
            at = last
        # A backslash before one of these letters is the escape of a control character, not the end of a word.
        elif text[m.start()] != "\\" or text[m.start() + 1] not in "bfnrtu":
            yield m.start()
            at = m.end() - 1
        else:
            at = m.start() + 1


def credentials(text: str) -> Iterator[Hit]:
    """Secrets known by what stands before them: ``Bearer``, ``Basic``, a URL's user, a parameter, a header line."""
    yield from _schemes(text)
    if "://" in text and "@" in text:
        for m in _USERINFO.finditer(text):
            if m[2].lower() not in _STAND_INS and not _NO_PASSWORD.fullmatch(m[2]):
                yield Hit(m.start(2), m.end(2), m[2], "password in a URL", False)
    if "=" in text:
        for m in _PARAMETER.finditer(text):
            yield from _named(m[1], m[2], m.start(2), "parameter", query=True)
    if ":" in text:
        for m in _HEADER.finditer(text):
            yield from _named(m[1], m[2], m.start(2), "header")


def _schemes(text: str) -> Iterator[Hit]:
    lower = text.lower()
    for m in _BEARER.finditer(text) if "bearer" in lower else ():
        if likely(m[1], tight=False) and (keyish(m[1]) or len(m[1]) >= 24):
            yield Hit(m.start(1), m.end(1), m[1], "bearer token", len(m[1]) >= 20)
    for m in _BASIC.finditer(text) if "basic" in lower else ():
        if _is_basic(m[1]):
            yield Hit(m.start(1), m.end(1), m[1], "basic credentials")


def fields(text: str) -> Iterator[Hit]:
    """Values of secret names in JSON, or in the text form of a dictionary, inside a text."""
    if '"' not in text and "'" not in text:
        return
    at = 0
    while (m := _FIELD.search(text, at)) is not None:
        # Only the name and its colon are consumed: what looked like a name may have been the value before it.
        group = "d" if m["d"] is not None else "s"
        at = m.start(group)
        yield from _named(m["name"], m[group], at, "field")


def _named(name: str, value: str, at: int, kind: str, *, query: bool = False) -> Iterator[Hit]:
    span = secret_span(name, value, query=query)
    if span is not None:
        yield Hit(at + span[0], at + span[1], value[span[0] : span[1]], f"{kind} {name}", False)


_DATE = r"(?:19|20)\d\d(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))?"
#: A word (``hbm3e``), a number (``4k``, ``2nm``), a date.
_SEGMENT = re.compile(
    rf"[a-z]+(?:\d{{1,2}}[a-z]?)?|[A-Z][a-z]*|[A-Z]+(?:\d{{1,2}}[A-Z]?)?|\d{{1,4}}[a-z]{{0,2}}|{_DATE}"
)
_WHEN = re.compile(_DATE)


def _slug(body: str) -> bool:
    """Whether it reads like words joined by hyphens."""
    segments = [s for s in re.split(r"[-_.]", body) if s]
    return all(_SEGMENT.fullmatch(s) and len(s) < 16 for s in segments)


def likely(body: str, *, tight: bool) -> bool:
    """Whether what follows a prefix is a key. ``tight``: it stands in a path or behind a hyphen."""
    if not _slug(body):
        return True
    numbers = [s for s in re.split(r"\D+", body) if len(s) >= 4 and not _WHEN.fullmatch(s)]
    return bool(numbers) and not tight


def _is_basic(coded: str) -> bool:
    try:
        plain = base64.b64decode(
            coded.translate(str.maketrans("-_", "+/")) + "=" * (-len(coded) % 4), validate=True
        ).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in plain and plain.isprintable()
