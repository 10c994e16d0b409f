"""Items to a chat request: everything the model is told, made from everything that was said.

``render`` is the whole of it; the rest are the questions a caller has before and after: which items are only
references, which files must be fetched, and what to leave out when the context is full. All pure.
"""

from antiphon.responses.prompt.history import (
    drop_oldest_turn,
    file_urls,
    inline_files,
    may_hold_files,
    references,
    resolve,
)
from antiphon.responses.prompt.render import render

__all__ = ["drop_oldest_turn", "file_urls", "inline_files", "may_hold_files", "references", "render", "resolve"]
