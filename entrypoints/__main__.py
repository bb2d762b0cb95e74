"""`tenon`, and `python -m entrypoints`."""

import signal


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the next line takes a second, in which Ctrl-C just ends the process
    from entrypoints import cli  # noqa: PLC0415 - not before the line above

    cli.main()


if __name__ == "__main__":
    main()
