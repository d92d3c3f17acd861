"""The treatments of difficult pairs that tests go through."""

import math

METHODS = {  # the margin, the temperature scale
    "simclr": (0.0, 1.0),
    "removal": (0.0, math.inf),
    "margin": (0.1, 1.0),
    "temperature": (0.0, 0.6),
    "combined": (0.1, 0.6),
}
