"""The same as `python -m tabattn`."""

from tabattn.cli import app
from tabattn.signals import run_orderly

if __name__ == "__main__":
    run_orderly(app)
