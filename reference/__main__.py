"""``python -m reference``: write docs/reference; with ``--check``, only say what is not current."""

from __future__ import annotations

import argparse
import sys

from mtpd.files import whole_file
from reference.pages import FOLDER, PAGES


def main() -> int:
    """Exit status: 1 where ``--check`` finds a page that is not what the code gives."""
    parser = argparse.ArgumentParser(prog="python -m reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    old = []
    for name, page in PAGES.items():
        file, text = FOLDER / name, page()
        if check and not (file.is_file() and file.read_text(encoding="utf-8") == text):
            old.append(str(file))
        elif not check:
            with whole_file(file) as new:
                new.write_text(text, encoding="utf-8")
    for name in old:
        sys.stderr.write(f"{name}: is not what the code gives; run `make reference`\n")
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main())
