"""``python -m lit_hardcl`` is the command line."""

from lit_hardcl.cli.training import main

if __name__ == "__main__":
    main()
