"""Where the program begins. Ctrl-C while it is still being loaded ends it at once, and without a traceback."""

import signal

INTERRUPTED = signal.getsignal(signal.SIGINT)
if INTERRUPTED is signal.default_int_handler:  # not where a shell started it in the background, which ignores Ctrl-C
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> None:
    """Load the command line and run it."""
    from relaytrap.cli.main import main as run

    signal.signal(signal.SIGINT, INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
