"""The entry of the command line, before anything else is imported: also while it starts, Ctrl-C ends it in one line."""

from tabattn.signals import run_orderly


def main() -> None:
    """Run the command line."""

    def run() -> None:
        from tabattn.cli import app

        app()

    run_orderly(run)


if __name__ == "__main__":
    main()
