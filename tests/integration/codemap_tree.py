"""A tree in memory, and a small repository to map."""

import hashlib
from collections.abc import Mapping

from typing_extensions import override


class MemoryTree:
    """Files by path; counts what is read."""

    def __init__(self, files: Mapping[str, bytes | str]) -> None:
        self.contents = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
        self.reads: list[str] = []

    def files(self) -> Mapping[str, str]:
        return {path: blob_id(data) for path, data in self.contents.items()}

    def read(self, path: str) -> bytes:
        self.reads.append(path)
        return self.contents[path]

    def edited(self, path: str, data: bytes | str) -> "MemoryTree":
        return MemoryTree({**self.contents, path: data})


class UnreadableTree(MemoryTree):
    """A tree in which one file went away after it was listed."""

    @override
    def read(self, path: str) -> bytes:
        if path.endswith("gone.py"):
            raise FileNotFoundError(path)
        return super().read(path)


def blob_id(data: bytes) -> str:
    """As git names a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


SHOP: dict[str, bytes | str] = {
    "shop/cart.py": '''
class Cart:
    """What a customer wants to buy."""

    def add_item(self, item, quantity):
        self.items.append((item, quantity))

    def total_price(self, discount):
        return sum(price(item) * quantity for item, quantity in self.items) - discount
''',
    "shop/payment.py": '''
def charge_card(card, amount):
    """Take money from a credit card."""
    return gateway.charge(card, amount)

def refund(payment):
    return gateway.refund(payment)
''',
    "shop/stock.py": """
def reserve(item):
    raise OutOfStock(item)

class OutOfStock(Exception):
    pass
""",
    "tests/test_cart.py": """
from shop.cart import Cart

def test_total_price_with_discount():
    assert Cart().total_price(discount=3) == 0
""",
    "web/router.ts": """
export function routeTo(path: string): Page {
  return pages[path] ?? notFound();
}
""",
    "README.md": "# Shop\n\nA shop with a cart and a total price after discount.\n",
    "deploy/run.sh": "start_server() {\n  exec gunicorn\n}\n",
    "node_modules/left-pad/index.js": "function leftPad() { return total_price_discount; }\n",
    "assets/logo.png": b"\x89PNG\x00\x00",
}
