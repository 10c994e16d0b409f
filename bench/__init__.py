"""The benchmark: what this server costs beside a byte forwarder, in one interleaved run (``python -m bench``)."""
