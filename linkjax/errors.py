"""The one error a user is meant to read."""


class UserError(Exception):
    """Something in what the user gave: the message is one sentence with the value found and the mend.

    From the command line it is printed without a stack trace and the exit code is 2. A bug raises
    anything else and keeps its trace.
    """
