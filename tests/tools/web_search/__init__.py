"""Tests of tools.web_search."""
