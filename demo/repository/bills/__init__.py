"""Split bills between friends."""

from bills.bill import Bill
from bills.money import format_cents, split

__all__ = ["Bill", "format_cents", "split"]
