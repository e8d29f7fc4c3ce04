"""What runs in a container beside a sandbox's: the standard library only, and nothing else of this package."""
