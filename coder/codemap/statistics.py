"""What of a tree the code map reads: the figures behind `coder map --stats`."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from coder.codemap.snapshot import Snapshot
from coder.codemap.tree import Tree


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of files, of definitions, and the size of the index, which other trees share."""

    files: int
    """Regular files of the tree."""
    left_out: int
    """Of these, vendored, generated or binary by their path."""
    skipped: int
    """Of these, binary, generated, minified or too large by their content."""
    by_language: dict[str, int]
    unparsed: int
    """Files that the parser gave up on or died of; they are outlined by regular expression."""
    definitions: int
    words: int
    index_bytes: int

    def text(self) -> str:
        """A line for each figure."""
        languages = ", ".join(f"{name} {count}" for name, count in self.by_language.items())
        return "\n".join(
            (
                f"files          {self.files}",
                f"  left out     {self.left_out} by path or .gitattributes (vendored, generated, binary)",
                f"  skipped      {self.skipped} by content (binary, generated, minified, too large)",
                f"  read         {sum(self.by_language.values())}: {languages or 'none'}",
                f"  unparsed     {self.unparsed}",
                f"definitions    {self.definitions}",
                f"words          {self.words}",
                f"index          {self.index_bytes / 1e6:.1f} MB, shared by all commits and runs",
            )
        )


def statistics(tree: Tree, state: Snapshot, index: Path) -> Statistics:
    """The figures of a tree whose snapshot was taken."""
    paths = tree.files()
    languages = Counter(file.language for file in state.files)
    return Statistics(
        files=len(paths),
        left_out=state.left_out,
        skipped=len(paths) - state.left_out - state.unread - len(state.files),
        by_language=dict(sorted(languages.items(), key=lambda item: (-item[1], item[0]))),
        unparsed=sum(1 for file in state.files if file.row.status == "unparsed"),
        definitions=sum(max(0, file.row.documents - 1) for file in state.files),
        words=sum(file.row.words for file in state.files),
        index_bytes=sum(one.stat().st_size for one in (index, index.with_name(index.name + "-wal")) if one.is_file()),
    )
