"""Prints the map of the shop from the index given as argument: a whole process of its own."""

import sys
from pathlib import Path

from coder.codemap.map import CodeMap
from tests.integration.codemap_tree import SHOP, MemoryTree


def main() -> None:
    with CodeMap(Path(sys.argv[1])) as codemap:
        tree = MemoryTree({**SHOP, **{f"more/m{n}.py": f"def more_{n}(item):\n    return {n}\n" for n in range(60)}})
        sys.stdout.write(codemap.map(tree, focus="total price of the cart ignores the discount item", max_tokens=300))


if __name__ == "__main__":
    main()
