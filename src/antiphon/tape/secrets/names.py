"""Names under which secrets are kept: JSON fields, parameters of a query, environment variables.

Names are compared whole, never by a part of them: ``max_tokens``, ``token_count`` and ``next_page_token`` are
no secrets.
A few endings count too (``brave_search_api_key``), since those families have no end.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache

from antiphon.tape.marks import PLACEHOLDER
from antiphon.tape.secrets.hits import words


class Strength(IntEnum):
    """How much a name says. Under ``WEAK`` the value must look like a key; under ``PHRASE`` it may hold spaces."""

    NONE = 0
    WEAK = 1
    STRONG = 2
    PHRASE = 3


_PHRASE = words("password passwd passphrase pwd userpassword dbpassword newpassword")
_STRONG = words(
    "apikey xapikey apitoken apisecret accesskey accesstoken refreshtoken authtoken bearertoken xauthtoken sessiontoken"
    " securitytoken clientsecret clientassertion appsecret consumersecret webhooksecret secretkey secretaccesskey"
    " awssecretaccesskey accountkey sharedkey subscriptionkey ocpapimsubscriptionkey privatekey privatetoken signingkey"
    " signingsecret encryptionkey masterkey authorization proxyauthorization xgoogapikey personalaccesstoken"
    " githubtoken hftoken xamzsecuritytoken xamzsignature xamzcredential"
)
_WEAK = words(
    "token secret auth credential credentials cookie setcookie jwt bearer idtoken csrftoken xsrftoken passcode"
    " sessionkey sessioncookie licensekey servicekey"
)
#: In a query these too: there they sign or authorise, in a JSON body they are often something else.
_QUERY = frozenset({"key", "sig", "signature", "codeverifier", "xgoogsignature", "sessionid", "sid"})
_ENDINGS = tuple(
    words("apikey password passwd passphrase secretkey accesstoken authtoken clientsecret secretaccesskey refreshtoken")
)

_SEPARATORS = str.maketrans("", "", "_-. ")


@lru_cache(maxsize=4096)
def strength(name: str, *, query: bool = False) -> Strength:
    """What the name of a field, a header or a parameter says about its value."""
    plain = name.translate(_SEPARATORS).lower()
    if plain in _PHRASE:
        return Strength.PHRASE
    if plain in _STRONG or plain.endswith(_ENDINGS):
        return Strength.STRONG
    return Strength.WEAK if plain in _WEAK or (query and plain in _QUERY) else Strength.NONE


_SCHEME = re.compile(r"\s*(?:(?:bearer|basic|token|apikey|bot)\s+)?", re.IGNORECASE)
# What is replaced already, or masked as already found.
_DONE = re.compile(f"<{{2,}}|{PLACEHOLDER.pattern}")
_STAND_IN = re.compile(
    r"<[^>]*>|\$.*|\{.*\}|%.*%|\[.*\]|[*xX.•_-]+|your[-_ ].*|os\.environ.*|process\.env.*|env\..*",
    re.DOTALL | re.IGNORECASE,
)
_WORDS = words(
    "password passwd pass pwd secret token key apikey api_key api-key string str text null none nil undefined"
    " true false any object required optional never always auto bearer basic oauth oauth2 empty redacted hidden"
    " username user changeme credential credentials authorization auth cookie default unknown"
)


def secret_span(name: str, value: str, *, query: bool = False) -> tuple[int, int] | None:
    """Where in the value of the field ``name`` the secret is, or None. A scheme before it (``Bearer``) is kept."""
    level = strength(name, query=query)
    if level is Strength.NONE or not value:
        return None
    scheme = _SCHEME.match(value)
    start = scheme.end() if scheme else 0
    core = value[start:].rstrip()
    return (start, start + len(core)) if _secret(level, _DONE.sub("", core)) else None


def _secret(level: Strength, value: str) -> bool:
    if not value or value.lower() in _WORDS or _STAND_IN.fullmatch(value):
        return False
    if level is not Strength.PHRASE and "=" not in value and any(c.isspace() for c in value):
        return False
    return level is not Strength.WEAK or (len(value) >= 8 and keyish(value))


def keyish(value: str) -> bool:
    """Whether a value could be a key rather than a word: it holds a digit, or two kinds of letters inside it."""
    return any(c.isdigit() for c in value) or bool(re.search(r"[a-z][A-Z]|[A-Z]{2}[a-z]", value))


_ENV_WORDS = words(
    "KEY KEYS APIKEY TOKEN TOKENS SECRET SECRETS PASSWORD PASSWORDS PASSWD PASS PASSPHRASE PWD CREDENTIAL CREDENTIALS"
    " AUTH AUTHORIZATION PAT JWT BEARER COOKIE"
)
_ENV_ENDINGS = ("APIKEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "SECRETKEY", "ACCESSKEY")
#: What such a variable's last word may say instead: that it holds something *about* a key.
_ENV_ABOUT = words(
    "FILE PATH DIR DIRECTORY URL URI ENDPOINT HOST NAME TYPE ALGORITHM ALG SOCK SIZE COUNT LIMIT TTL EXPIRY EXPIRES"
    " TIMEOUT PARALLELISM VERSION PREFIX SUFFIX HEADER FORMAT MODE ENABLED REGION PROVIDER BACKEND LENGTH"
    " INTERVAL"
)
_ENV_NEVER = frozenset({"PWD", "OLDPWD"})
#: Values that are words of every second text: replaced under a secret's name only.
_COMMONPLACE = words(
    "password passw0rd postgres changeme anything something undefined disabled required username localhost placeholder"
    " not-needed no-key-required development production"
)
SHORTEST = 8


def names_secret(variable: str) -> bool:
    """Whether a variable of the environment is named like a key."""
    words = [word for word in variable.upper().split("_") if word]
    if not words or variable.upper() in _ENV_NEVER or words[-1] in _ENV_ABOUT:
        return False
    return any(word in _ENV_WORDS or word.endswith(_ENV_ENDINGS) for word in words)


def findable(variable: str, value: str) -> bool:
    """Whether the value may be looked for in every text: long enough, no word or number that stands there anyway."""
    if len(value) < SHORTEST or len(set(value)) < 4 or value.lower() in _COMMONPLACE:
        return False
    return not value.isdecimal() or "PASS" in variable.upper()
