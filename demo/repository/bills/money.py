"""Amounts of money, in cents."""


def format_cents(amount: int) -> str:
    """The amount as people write it: `1234` is `12.34`."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02}"


def split(total: int, weights: list[int]) -> list[int]:
    """Split `total` in proportion to `weights`, in whole cents."""
    if not weights or sum(weights) <= 0:
        raise ValueError("at least one weight must be positive")
    whole = sum(weights)
    return [total * weight // whole for weight in weights]
