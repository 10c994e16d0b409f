"""numpy, imported at its first use and kept to one thread a call.

A BLAS that spreads one small product over several threads lets them spin for each other; with other work on the same
cores that has cost fifty times the product itself. Who wants two cores cuts the work in two.
"""

from __future__ import annotations

import os
from types import ModuleType

_BLAS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


def numpy() -> ModuleType:
    """The module; whoever computes here gets it from here first."""
    for name in _BLAS:
        os.environ.setdefault(name, "1")
    import numpy

    return numpy
