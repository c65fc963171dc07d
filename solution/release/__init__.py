"""Everything that leaves this repository, made in one command: ``python -m solution.release --out DIR``.

``content.py`` decides which files may go (an allow-list) and looks for solutions in them, ``packing.py`` writes them so
that two runs give the same bytes, ``outputs.py`` puts the student repository and the bundles together, ``templates/``
holds the files that exist only out there.
"""
