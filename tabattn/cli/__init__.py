"""The command line: parses arguments, calls the functions of the package, prints results, sets the exit code.

Exit codes: 0 done; 2 the user's input is at fault, with one line on the standard error stream; 1 a defect of ours.
"""

from tabattn.cli.app import app

__all__ = ["app"]
