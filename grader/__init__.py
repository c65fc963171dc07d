"""The Backdoor Lab grader: trusted code that judges a submission without ever importing it."""

__version__ = "0.1.0"
