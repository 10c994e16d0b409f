"""``python -m tests.recordings``: how many recorded runs happen again under each setting of ``tools.prompts``."""

from __future__ import annotations

import sys

from tests.recordings.settings import STYLES, loops, staged


def main() -> int:
    """One line. Exit status 0."""
    runs = loops()
    if not runs:
        print("There are no recorded runs here.")
        return 0
    with staged(runs) as stage:
        missed = {style: [loop.name for loop in runs if stage.missed(loop, style)] for style in STYLES}
    counts = ", ".join(f"{len(runs) - len(missed[style])} under {style}" for style in STYLES)
    print(f"Of {len(runs)} recorded runs happen again: {counts}.")
    if "-v" in sys.argv:
        for style, names in missed.items():
            print(f"{style}: {' '.join(names) or 'all'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
