"""Driving language models: profiles, the wire, retry, prices."""
