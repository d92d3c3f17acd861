"""Train from a checkout: ``python train.py fit -c configs/quickstart.yaml``."""

from lit_hardcl.__main__ import main

if __name__ == "__main__":
    main()
