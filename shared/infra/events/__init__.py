"""The event log of each module, and the dispatcher that carries it to subscribers."""
