"""The one exception for what the user can mend: shown as a single line, without a traceback."""


class InputError(Exception):
    """Bad input from the user: the message is one line saying what, where and how to mend it.

    The command turns it into exit code 2; a library caller may catch it like any other exception.
    """
