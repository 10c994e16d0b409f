"""From a request to its events: the run, its journal, and the pure rooms they are made of."""
