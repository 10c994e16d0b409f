"""Conversations: lists of items that outlive the responses that are turns of them.

``service`` is what a client can do with one; ``turns`` keeps two turns of one from mixing. Nothing here knows what a
response is: a turn takes a ``Hold``, reads the history behind it, and appends its items once, at its end.
"""
