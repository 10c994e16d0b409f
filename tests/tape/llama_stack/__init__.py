"""Llama Stack recordings, in and out."""
