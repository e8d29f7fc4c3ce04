"""What runs found out about a repository, kept for later runs."""
