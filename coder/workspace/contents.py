"""The files of a commit as a mapping that reads when asked."""

from collections.abc import Iterator, Mapping

from typing_extensions import override

from coder.workspace.repository import Repository


class Contents(Mapping[str, bytes]):
    """Path to bytes for the files of one commit or tree; each look-up reads, nothing is kept.

    Looking one up raises WorkspaceError when it is too large to read.
    """

    def __init__(self, repository: Repository, tree_ish: str) -> None:
        self._repository, self._tree = repository, tree_ish
        self._paths = [path for path, entry in repository.files(tree_ish).items() if entry.mode != "160000"]
        self._known = frozenset(self._paths)

    @override
    def __getitem__(self, path: str) -> bytes:
        if path not in self._known:
            raise KeyError(path)
        return self._repository.read(self._tree, path)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    @override
    def __len__(self) -> int:
        return len(self._paths)
