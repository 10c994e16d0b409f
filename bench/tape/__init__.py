"""What the tape costs, beside vcrpy and pytest-recording: ``python -m bench.tape``."""
