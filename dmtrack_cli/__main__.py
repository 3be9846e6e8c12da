"""`python -m dmtrack_cli`, the same as `dmtrack`."""

from dmtrack_cli.app import main

if __name__ == "__main__":
    main()
