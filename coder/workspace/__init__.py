"""Git on the host, on repositories that no sandbox can write."""
