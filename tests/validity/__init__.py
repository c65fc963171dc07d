"""Are the grades right? The corpus at the full spec: ``python -m tests.validity``."""
