import pytest

from bills import format_cents, split


def test_an_even_split_is_even():
    assert split(900, [1, 1, 1]) == [300, 300, 300]


def test_weights_count():
    assert split(1000, [3, 1]) == [750, 250]


def test_nobody_cannot_pay():
    with pytest.raises(ValueError):
        split(100, [])


@pytest.mark.parametrize(("cents", "text"), [(0, "0.00"), (5, "0.05"), (1234, "12.34"), (-50, "-0.50")])
def test_cents_are_written_with_two_digits(cents, text):
    assert format_cents(cents) == text
