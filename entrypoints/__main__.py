"""`python -m entrypoints` is `tenon`."""

from entrypoints.cli import main

main()
