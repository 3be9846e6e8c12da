"""`dmtrack`, and `python -m dmtrack_cli`."""


def main() -> None:
    """Load the program and run it; whoever stops it while it is loaded sees no traceback."""
    try:
        from dmtrack_cli.app import main as run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
