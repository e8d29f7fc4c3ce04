"""The loop, its context, its limits."""
