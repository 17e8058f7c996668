"""What segmix raises when the input, an option or a target cannot be used.

Every message names the thing, the rule, what came and the remedy. Any other exception is a bug.
"""


class SegmixError(Exception):
    """Something the user gave cannot be used; the message says what and what to do."""


class InputError(SegmixError):
    """A picture, an array or a saved posterior cannot be used."""


class OutputError(SegmixError):
    """A target cannot be written."""


class OptionError(SegmixError, ValueError):
    """An option is outside its range."""


class ConvergenceWarning(UserWarning):
    """The draws do not support the answer; the message gives the reasons."""
