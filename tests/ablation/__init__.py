"""Is every check needed? Each removed in turn, against the corpus: ``python -m tests.ablation``."""
