"""What can fail in our own machinery. A result that the model can act on is a value, never one of these."""


class CoderError(Exception):
    """The root. The message says what, which and what to do, in one line fit for a user's eyes."""

    exit_code = 70
    """The command line's exit code (`coder run`); each class that a user can act on has its own."""
    passes = False
    """Whether it may be over by itself, so that trying again some time later is worth it."""


class ConfigError(CoderError):
    """A setting, profile or file of ours is missing, misspelt or contradictory."""

    exit_code = 64


class InputError(CoderError):
    """What the user handed in cannot be worked on: empty issue file, dirty or non-git folder."""

    exit_code = 65


class ModelError(CoderError):
    """The model cannot be reached or refuses for good: no key, unknown or retired model, quota, policy."""

    exit_code = 66


class ContextOverflowError(ModelError):
    """The provider says that the conversation exceeds its window; a smaller one may be tried."""


class EngineUnavailableError(CoderError):
    """No Docker engine answers."""

    exit_code = 67
    passes = True


class SandboxError(CoderError):
    """A sandbox would not start, died, or broke its protocol."""

    exit_code = 68
    passes = True


class SandboxRepositoryError(SandboxError):
    """Git inside a sandbox failed; the sandbox itself lives."""


class WorkspaceError(CoderError):
    """Git on the host failed: fetch, push, apply."""

    exit_code = 69
    passes = True


class RemoteRefusedError(WorkspaceError):
    """The remote says no, and will say so again: credentials, rights, no such repository, a rule or a hook of its own."""

    passes = False


class PatchRefusedError(CoderError):
    """The patch breaks a rule about what may leave a sandbox (path, link, mode, size)."""

    exit_code = 71


class ForgeError(CoderError):
    """GitHub could not be read or written."""

    exit_code = 72
    passes = True


class ForgeRefusedError(ForgeError):
    """GitHub says no, and will say so again: gone, locked, blocked, or not ours to do."""

    passes = False


class PermissionDeniedError(ForgeRefusedError):
    """The person who asked may not write to the repository (any more)."""

    exit_code = 73


class JournalError(CoderError):
    """The journal is broken, tampered with, or another process writes the same run; or the memory of runs is broken."""

    exit_code = 74


class CodeMapError(CoderError):
    """A code map cannot be built for this tree."""

    exit_code = 75
