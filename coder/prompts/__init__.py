"""Prompt files (Markdown, Jinja with StrictUndefined)."""
