"""The one error a user is meant to read, and how a program ends with it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

# A file's contents may be quoted, and shall neither break the line, command the terminal nor turn the text round.
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SHOWN = {code: repr(chr(code))[1:-1] for code in (*_CONTROLS, *range(0xD800, 0xE000))}

_LONGEST, _END = 1000, 300  # characters; the end has the mend


class UserError(Exception):
    """Something in what the user gave: the message is one sentence with the value found and the mend.

    From the command line it is printed without a stack trace and the exit code is 2. A bug raises
    anything else and keeps its trace.
    """

    def __str__(self) -> str:
        text = super().__str__().translate(_SHOWN)
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - _END]} ... {text[-_END:]}"


class Interrupted(Exception):
    """The program was asked to leave and does so in good order, with an exit code that says so."""

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


class _Unbreakable:
    """A stream whose reader may die, or whose disk may fill up, without a word."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def outlive_the_terminal() -> None:
    """From now on, what goes to standard error may get lost; the program goes on."""
    sys.stderr = _Unbreakable(sys.stderr)


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
    except Interrupted as interrupted:
        if str(interrupted):
            print(interrupted, file=sys.stderr)
        sys.exit(interrupted.code)
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
