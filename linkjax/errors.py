"""The one error a user is meant to read, and how a program ends with it."""

import contextlib
import os
import sys
from collections.abc import Iterator


class UserError(Exception):
    """Something in what the user gave: the message is one sentence with the value found and the mend.

    From the command line it is printed without a stack trace and the exit code is 2. A bug raises
    anything else and keeps its trace.
    """


@contextlib.contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Ends the program with one sentence and exit code 2 on a UserError; 130 on Ctrl-C; quietly on `... | head`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # words of any script, in a terminal of whichever
            stream.reconfigure(errors="replace")
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
