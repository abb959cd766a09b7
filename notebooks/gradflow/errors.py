"""What can be wrong with a file. Each message names the file and says what to do."""


class GradflowError(Exception):
    """Anything that this module refuses, or that the command reports."""


class NoSuchFile(GradflowError, FileNotFoundError):
    """There is no file of that name."""


class NotAGradflowFile(GradflowError):
    """Another file than the one asked for: no HDF5, not made by gradflow, or a comparison instead of a run."""


class NotReady(GradflowError):
    """A run that has only just begun: no row can be read yet."""
