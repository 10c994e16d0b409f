"""The coverage table: every promise of the API's surface, and the test that holds us to it."""
