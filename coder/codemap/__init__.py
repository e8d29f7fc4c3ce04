"""Which files and functions matter for a problem, within a token budget."""
