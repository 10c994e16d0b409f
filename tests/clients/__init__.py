"""Real clients and servers of the JavaScript world, over loopback; ``make test-clients`` brings and runs them."""
