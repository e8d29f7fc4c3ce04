"""Values that many tests need."""

from collections.abc import Mapping

from coder.codemap.syntax import SyntaxFault
from coder.model.profile import ModelProfile, Prices


def scripted_profile(name: str = "scripted", **changes: object) -> ModelProfile:
    """A model at Kimi K2 Thinking's prices that nobody can reach."""
    fields: dict[str, object] = {
        "name": name,
        "model": name,
        "route": "hosted_vllm",
        "api_base": "http://127.0.0.1:1",
        "api_key_env": "NONE",
        "window_tokens": 262_144,
        "max_output_tokens": 16_000,
        "prices": Prices(input=0.6, cached_input=0.15, output=2.5),
    }
    return ModelProfile.model_validate(fields | changes)


class NoSyntax:
    """Finds no fault with any text."""

    def new_faults(self, path: str, before: bytes, after: bytes) -> tuple[SyntaxFault, ...]:
        del path, before, after
        return ()


class ReadOnlySandbox:
    """Files that can be read, and nothing else."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def read(self, path: str, *, max_bytes: int = 4_000_000) -> bytes:
        del max_bytes
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path]
