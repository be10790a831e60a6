"""Checks of arguments that may be anything."""


def is_choice(value, *choices):
    """Whether a value is one of some choices; arrays never are.

    Parameters
    ----------
    value : object
        As given by the user. ``value in choices`` would compare an array entry by entry.
    *choices : str, bool or None
        The choices.

    Returns
    -------
    bool
        Strings are compared by content, all else by identity.
    """
    if isinstance(value, str):
        return any(isinstance(choice, str) and value == choice for choice in choices)
    return any(value is choice for choice in choices)
