"""Antiphon: the OpenAI Responses API over any model that speaks Chat Completions."""

__version__ = "0.1.0"
