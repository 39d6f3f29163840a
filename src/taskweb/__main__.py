"""`python -m taskweb`: the command, for launchers that start modules."""

from taskweb.cli.entry import main

if __name__ == "__main__":
    main()
