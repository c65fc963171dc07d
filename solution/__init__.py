"""The reference solution, the source of everything in ``assignment/``. It never reaches a student."""
