"""numpy, imported at its first use and kept to one thread a call.

A BLAS that spreads one small product over several threads lets them spin for each other; with other work on the same
cores that has cost fifty times the product itself. Worse, OpenBLAS ends its threads when the process forks: a product
in one thread and the start of a program in another then wait for each other for ever. Who wants two cores cuts the work
in two.
"""

from __future__ import annotations

import functools
import os
from types import ModuleType

_BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


@functools.cache
def numpy() -> ModuleType:
    """The module; whoever computes here gets it from here first."""
    for name in _BLAS:
        os.environ.setdefault(name, "1")
    import numpy
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # The variables come too late where somebody else has imported numpy before.
    threadpool_limits(1, user_api="blas")
    return numpy
