"""The Backdoor Lab grader: trusted code that judges a submission without ever importing it."""

import os

# Before anything imports torch. Its OpenMP threads otherwise wait for each other by spinning, and where another program
# wants a core a training step then takes ten times as long; sleeping costs next to nothing on an idle machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
