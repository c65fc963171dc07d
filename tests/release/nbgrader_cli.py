"""nbgrader's command line, several commands in a row; its imports, which take seconds, only once.

Started as ``python -m tests.release.nbgrader_cli '[["generate_assignment", "NAME"], ...]'`` in a course folder. Each
command runs in a fork of its own, with the words as its command line; ``["rename", OLD, NEW]`` renames a file in
between, ``["setenv", NAME, VALUE]`` sets a variable. Prints the exit statuses as JSON, last.
"""

import json
import os
import sys


def main() -> None:
    from nbgrader.apps import nbgraderapp  # the whole tool

    statuses = []
    for words in json.loads(sys.argv[1]):
        sys.stdout.flush()
        if words[0] in ("rename", "setenv"):
            os.rename(*words[1:]) if words[0] == "rename" else os.environ.update([words[1:]])
            statuses.append(0)
            continue
        if (child := os.fork()) == 0:
            sys.argv = ["nbgrader", *words]
            os.dup2(1, 2)
            nbgraderapp.main()
            sys.stdout.flush()
            os._exit(0)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(json.dumps(statuses))


if __name__ == "__main__":
    main()
