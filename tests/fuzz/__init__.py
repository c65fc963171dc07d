"""Damaged and hostile inputs by the thousand for everything that reads what others wrote: ``python -m tests.fuzz``."""
