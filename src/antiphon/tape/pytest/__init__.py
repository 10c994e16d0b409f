"""The Tape as a pytest plugin: ``antiphon.tape.pytest.plugin``."""
