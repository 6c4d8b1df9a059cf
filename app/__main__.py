"""`python -m app` is `reucid`."""

import io
import signal
import sys


def main() -> None:
    """Run the command line; Ctrl-C at any time says so in a line at most."""
    handler = signal.getsignal(signal.SIGINT)
    heeded = handler is signal.default_int_handler  # not where the shell has it ignored
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is to be tidied up yet
    from app.commands.main import main as run

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a file's name may hold any bytes
    signal.signal(signal.SIGINT, handler)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit("reucid: interrupted")
    finally:
        if heeded:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own end has no answer to it


if __name__ == "__main__":
    main()
