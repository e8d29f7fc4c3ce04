"""A checkout as it is on the disk, or a folder of it, as a tree to map. Light to import."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from coder.codemap.tree import HasPast, Tree
from coder.workspace.checkout import Checkout


class Folder:
    """The part of a tree below one folder; paths stay those of the whole, and so does its past."""

    def __init__(self, tree: Tree, folder: str) -> None:
        self._tree = tree
        self._folder = folder
        self.commit = tree.commit if isinstance(tree, HasPast) else ""
        """The commit that its past ends with; empty without one."""

    def files(self) -> Mapping[str, str]:
        """Path to blob id."""
        return {path: sha for path, sha in self._tree.files().items() if path.startswith(self._folder)}

    def subjects(self) -> Sequence[tuple[str, Sequence[str]]]:
        """What commits said and changed, as the whole tree tells it."""
        return self._tree.subjects() if isinstance(self._tree, HasPast) else ()

    def read(self, path: str) -> bytes:
        """A file's bytes, as the whole tree reads them."""
        return self._tree.read(path)


def work_tree(path: Path) -> Tree:
    """The files of the checkout that `path` is in, edits included; of the part below `path` when that is not its top.

    Raises:
        InputError: There is no checkout, or it has no commit yet.
        WorkspaceError: Git failed.
    """
    checkout = Checkout(path)
    return part(checkout.tree(), path, checkout.path)


def part(tree: Tree, path: Path, top: Path) -> Tree:
    """The tree, or its part below `path`; the current folder stands for the whole."""
    if path == Path() or path.resolve() == top.resolve():
        return tree
    return Folder(tree, path.resolve().relative_to(top.resolve()).as_posix() + "/")
