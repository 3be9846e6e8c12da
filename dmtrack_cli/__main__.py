"""`dmtrack`, and `python -m dmtrack_cli`."""


def main() -> None:
    """Load and run the program; Ctrl-C while it is loading shows no traceback."""
    try:
        from dmtrack_cli.app import main as run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
