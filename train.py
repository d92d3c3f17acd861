"""Train from a checkout: ``python train.py fit -c configs/quickstart.yaml``."""

from lit_hardcl.cli.training import main

if __name__ == "__main__":
    main()
