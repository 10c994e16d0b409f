"""Recorded model calls, answered again by a small back end, so that whole conversations run as they once did."""
