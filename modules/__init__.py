"""The business, one package per module. Each may be taken out and run alone."""
