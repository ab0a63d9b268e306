"""One network, trained and observed: setup, loop, state, observe."""
