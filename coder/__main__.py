"""The program `coder`, also `python -m coder`."""

import sys

from coder import __version__


def main() -> None:
    """Do as the arguments say; what must come at once does not wait for the libraries of the other commands."""
    match sys.argv[1:]:
        case ["map", *arguments]:
            from coder.local_map import program

            sys.exit(program(arguments))
        case ["--version"]:
            sys.stdout.write(f"coder {__version__}\n")
        case _:
            from coder import logs
            from coder.cli import main as cli
            from coder.redact import Redactor

            logs.for_people(Redactor(()).full)
            cli()


if __name__ == "__main__":
    main()
