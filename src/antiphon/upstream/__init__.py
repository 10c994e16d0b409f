"""The way out to the models: one door, the back ends behind it, and the choice between them.

A request leaves as bytes through ``door`` and comes back as lists of chunks in one dialect, whatever the back end's
own. Nothing here knows what a Response is.
"""
