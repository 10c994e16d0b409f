"""Documents as text: PDF, Office, HTML, and everything that is text already.

What is read comes from strangers, so that it is read elsewhere: in a process that holds no secret of ours, has limits,
and reads this one file. A file that breaks it, or never ends, harms nobody but itself.

``pool`` hands files to ``process``es; in those run ``worker``, and in a child of that, for each file, ``reading``.
"""

from __future__ import annotations

from antiphon.files.parsing.model import Parsed, Unparsable
from antiphon.files.parsing.pool import Parsers

__all__ = ["Parsed", "Parsers", "Unparsable"]
