"""A bill: what was bought, and who takes part."""

from dataclasses import dataclass, field

from bills.money import format_cents, split


@dataclass
class Bill:
    """A bill that is shared by people with equal or different parts."""

    total: int
    people: dict[str, int] = field(default_factory=dict)

    def join(self, name: str, parts: int = 1) -> None:
        """Let somebody take part; twice the parts pay twice as much."""
        self.people[name] = self.people.get(name, 0) + parts

    def shares(self) -> dict[str, int]:
        """What everybody pays, in cents."""
        return dict(zip(self.people, split(self.total, list(self.people.values()))))

    def summary(self) -> str:
        """One line for each person."""
        return "\n".join(f"{name}: {format_cents(share)}" for name, share in self.shares().items())
