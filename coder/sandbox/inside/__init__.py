"""What runs inside a sandbox: shipped as source text to the container's own `python3`, standard library only.

Must run on Python 3.9 and later, import nothing but its siblings and the standard library, and never print.
"""
