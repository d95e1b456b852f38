"""Text for LaTeX."""

from __future__ import annotations

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "%": r"\%",
        "_": r"\_",
        "&": r"\&",
        "#": r"\#",
        "$": r"\$",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        "→": r"$\rightarrow$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "≈": r"$\approx$",
        "−": r"$-$",
        "λ": r"$\lambda$",
        "–": "--",
    }
)


def escaped(text: str) -> str:
    """``text`` as pdfLaTeX prints it; an arrow may also be written ``->``."""
    return " ".join(text.replace("->", "→").split()).translate(_SPECIAL)
