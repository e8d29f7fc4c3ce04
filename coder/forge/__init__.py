"""Where problems come from and where pull requests go."""
