"""An autonomous coding agent: a problem and a repository in, a proven change out."""

__version__ = "0.1.0"
