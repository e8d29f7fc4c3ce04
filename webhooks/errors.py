"""What can fail in the service's own machinery."""

from coder.errors import CoderError


class EngineError(CoderError):
    """The job engine's database cannot be reached or refuses."""

    exit_code = 76
    passes = True


class StoreError(CoderError):
    """The file of deliveries cannot be read or written."""

    exit_code = 77
    passes = True
