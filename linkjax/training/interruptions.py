"""Being asked to leave: by a scheduler (SIGTERM, or SIGUSR1 some time before it), by Ctrl-C (SIGINT)."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable

from linkjax.errors import Interrupted

PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: the same command again will go on
BY_CTRL_C = 130
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class Interruptions:
    """Turns signals into a wish that the training loop looks at; the second Ctrl-C ends the process at once.

    Python runs handlers between its own instructions, and a compilation is one that can take minutes: so a thread
    of its own hears of the signals.

    Attributes:
      asked: the name of the signal that came, '' before.
      code: the exit code to leave with.
    """

    def __init__(self, leave: Callable[[int, str], None], say: Callable[[str], None]):
        """Args:
        leave: ends the process at once, with an exit code and a sentence.
        say: a line to the terminal.
        """
        self._leave, self._say = leave, say
        self.asked, self.code = "", 0
        self._nothing_to_save = True

    def __enter__(self) -> "Interruptions":
        """Until `training`, a signal raises `Interrupted` in the main thread: there is nothing to save yet."""
        self._undo = contextlib.ExitStack()
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.signal(number, self._raise)
                self._undo.callback(signal.signal, number, before)
        return self

    def __exit__(self, *_) -> None:
        self._undo.close()

    def listen(self) -> None:
        """From now on the thread hears of signals. Until `anything_to_save` the first one ends the process at once."""
        if threading.current_thread() is not threading.main_thread():
            return
        ours, pythons = socket.socketpair()
        pythons.setblocking(False)
        before = signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        thread = threading.Thread(target=self._hear, args=[ours], daemon=True, name="interruptions")
        thread.start()

        def stop():
            signal.set_wakeup_fd(before)
            pythons.close()  # ends the thread
            thread.join()

        self._undo.callback(stop)

    def anything_to_save(self) -> None:
        """Steps were taken: the first signal waits for the loop to save them."""
        self._nothing_to_save = False

    def _raise(self, number: int, _) -> None:
        raise Interrupted(f"stopped by {signal.Signals(number).name}.", _code(number))

    def _hear(self, numbers: socket.socket) -> None:
        with numbers:
            while received := numbers.recv(1):
                number = received[0]
                if number not in _SIGNALS:
                    continue
                name = signal.Signals(number).name
                if self._nothing_to_save:
                    self._leave(_code(number), f"stopped by {name}.")
                elif not self.asked:
                    self.code, self.asked = _code(number), name
                    again = "; Ctrl-C again stops now" if number == signal.SIGINT else ""
                    self._say(f"{name}: saving a checkpoint after this step, then stopping{again}")
                elif number == signal.SIGINT:
                    self._leave(BY_CTRL_C, "stopped at once: the same command goes on from the newest checkpoint.")


def _code(number: int) -> int:
    return BY_CTRL_C if number == signal.SIGINT else PREEMPTED
