"""Secrets as they are planted in calls: each with the place it stands in. None of them opens anything."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

ENVIRON = {
    "OPENAI_API_KEY": "acme-4f1b9c77e2d84a06",
    "DB_PASSWORD": 'p"ss/w\\rd é+1 zz9',
    "ANTIPHON_KEYS": "firstkey-81723,secondkey-99120",
    "HOME": "/srv/somebody",
}
OPENAI = ENVIRON["OPENAI_API_KEY"]
PASSWORD = ENVIRON["DB_PASSWORD"]

SK = "sk-proj-Q7wK2mZx9LpTr4VbNc8Yh3Jd"
ANTHROPIC = "sk-ant-api03-Zk3xW8qLm2Vt7RbY5cNd-AA"
AWS = "AKIAQ7WK2MZX9LPTR4VB"
GITHUB = "ghp_Q7wK2mZx9LpTr4VbNc8Yh3JdF6Gs1Ha0Xe5U"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJlLW9mLWl0"
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAq7wK2mZx9LpTr4VbNc8Yh3Jd\n"
    "F6Gs1Ha0Xe5U==\n-----END RSA PRIVATE KEY-----"
)
HUNTER = "hunter2-Blue-42"

TOKENS = {
    "sk": SK,
    "anthropic": ANTHROPIC,
    "aws": AWS,
    "github": GITHUB,
    "github pat": "github_pat_11ABCDEFG0abcdefghij_KLMNOPqrstuv",
    "gitlab": "glpat-Q7wK2mZx9LpTr4VbNc8Y",
    "slack": "xoxb-123456789012-Q7wK2mZx9LpTr4Vb",
    "google": "AIzaSyQ7wK2mZx9LpTr4VbNc8Yh3JdF6Gs1Ha0X",
    "hugging face": "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",
    "groq": "gsk_Q7wK2mZx9LpTr4VbNc8Yh3JdF6Gs",
    "tavily": "tvly-dev-Q7wK2mZx9LpTr4VbNc8",
    "replicate": "r8_Q7wK2mZx9LpTr4VbNc8Yh3JdF6Gs1Ha0Xe",
    "stripe": "sk_live_Q7wK2mZx9LpTr4VbNc8Y",
    "stripe public": "pk_live_Q7wK2mZx9LpTr4VbNc8Y",
    "sendgrid": "SG.Q7wK2mZx9LpTr4VbNc8Yh3.JdF6Gs1Ha0Xe5UQ7wK2mZx9L",
    "jwt": JWT,
    "private key": PEM,
    "variable": OPENAI,
    "odd variable": PASSWORD,
    "one of several": "secondkey-99120",
}

BASIC = base64.b64encode(f"user:{HUNTER}".encode()).decode()
CODED = base64.b64encode(f"user:{OPENAI}".encode()).decode()

#: Texts in which a secret is known by what stands around it, and the secret.
AROUND = {
    "bearer": ("curl -H 'Authorization: Bearer abcdEFGH1234ijklMNOP5678' x", "abcdEFGH1234ijklMNOP5678"),
    "basic": (f"Authorization: Basic {BASIC}", BASIC),
    "basic with a variable": (f"Basic {CODED} sent", CODED),
    "userinfo": (f"postgres://app:{HUNTER}@db.example.com:5432/app", HUNTER),
    "parameter": (f"see https://api.example.com/v1/x?a=1&api_key={HUNTER}&b=2", HUNTER),
    "header line": (f"x-api-key: {HUNTER}\nhost: x", HUNTER),
    "cookie line": (f"set-cookie: sid={HUNTER}; Path=/", HUNTER),
    "field in text": (f'it said {{"password": "{HUNTER}", "n": 1}} there', HUNTER),
    "field of a dictionary": (f"got {{'client_secret': '{HUNTER}'}}", HUNTER),
    "escaped variable": (json.dumps({"a": PASSWORD}), json.dumps(PASSWORD)[1:-1]),
    "quoted variable": (f"https://x.example/?q={quote(PASSWORD, safe='')}", quote(PASSWORD, safe="")),
}


def content(text: str) -> bytes:
    """A chat completion that says the text."""
    message = {"role": "assistant", "content": text}
    return json.dumps({"id": "é1", "choices": [{"index": 0, "message": message}]}, ensure_ascii=False).encode()


def arguments(text: str) -> bytes:
    """A chat completion that calls a tool with the text: JSON in a string of JSON."""
    call = {"id": "call_1", "function": {"name": "fetch", "arguments": json.dumps({"note": text, "n": 1})}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return json.dumps({"id": "c1", "choices": [{"index": 0, "message": message}]}).encode()


def refusal(text: str) -> bytes:
    """The body of an error that repeats what was sent."""
    return json.dumps({"error": {"message": f"Incorrect key provided: {text}", "code": 401}}).encode()


def plain(text: str) -> bytes:
    """A body that is no JSON."""
    return f"upstream said: {text}\n".encode()


BODIES = (content, arguments, refusal, plain)
