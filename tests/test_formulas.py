"""Formulas of docstrings, as the site sets them."""

import ast
import html
import re
from pathlib import Path

import pytest

from scripts.formulas import GREEK, block, typeset


def plain(line: str) -> str:
    """Set, with _{...} and ^{...} for what stands low and high, and without other marks."""
    text = typeset(line).replace("<sub>", "_{").replace("<sup>", "^{").replace("</sub>", "}").replace("</sup>", "}")
    return re.sub(r"<[^>]+>", "", text)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("s_ij = sim(a_i, b_j) / temperature", "s_{ij} = sim(a_{i}, b_{j}) / temperature"),
        ("C_ij = R_i'^-1 S_ij R_j^-1", "C_{ij} = R^{′−1}_{i} S_{ij} R^{−1}_{j}"),
        ("sum_{j != i} exp s_ij", "∑_{j ≠ i} exp s_{ij}"),
        ("E k(a, a') <= rho, lambda -> 0", "E k(a, a′) ≤ ρ, λ → 0"),
        ("(S_a S_b)^(1/2) - 10^5", "(S_{a} S_{b})^{1/2} − 10^{5}"),
        ("k(x, y) = <phi(x), phi(y)>, j<k", "k(x, y) = ⟨φ(x), φ(y)⟩, j&lt;k"),
        ("|C_s - C_t|_F^2", "|C_{s} − C_{t}|^{2}_{F}"),
        ("sum over views v in V, the sum of a mean", "sum over views v ∈ V, the sum of a mean"),
        ("log-mel of a_i.b_i, q . g, 16 x 16", "log-mel of a_{i}·b_{i}, q · g, 16 × 16"),
        ("each view's, `towers` and --sure", "each view’s, towers and --sure"),
        ("nt_xent(z, twin; tau) and domain_adversarial", "nt_xent(z, twin; τ) and domain_adversarial"),
        ("x~ = mean -+ q s", "x\u0303 = mean ∓ q s"),
    ],
)
def test_definition(line, wanted):
    assert plain(line) == wanted


def test_variables_slant_and_words_do_not():
    assert typeset("a row of x") == "a row of <i>x</i>"
    assert typeset("a and x") == "<i>a</i> and <i>x</i>"
    assert typeset("mean x, rho") == "mean <i>x</i>, <i>ρ</i>"


def test_labels_stand_in_a_column_and_sentences_go_on():
    made = block(["source    x -> y, which", "          goes on", "target    x"])
    assert made.count('class="label"') == 2
    assert "which goes on" in made
    assert "labelled" not in block(["L = x", "  + y"])


def formulas() -> list[str]:
    """Lines of the indented blocks of the package's docstrings."""
    lines = []
    for file in Path(__file__).parents[1].glob("src/bouba/**/*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, ast.ClassDef | ast.FunctionDef) else None
            for indented in re.findall(r"(?<=\n\n)(?:    .+(?:\n|$))+", text or ""):
                lines += indented.splitlines()
    return lines


def test_law_nothing_is_lost():
    """Every word and number of every formula of the package is on the page."""
    spelled = {"sum", "prod", "sqrt", "grad", "in", "x", *GREEK}  # may be signs
    lines = formulas()
    assert len(lines) > 150
    for line in lines:
        before, after = (re.findall(r"[A-Za-z]+|\d+", text) for text in (line, html.unescape(plain(line))))
        kept = [sorted(word for word in words if word not in spelled) for words in (before, after)]
        assert kept[0] == kept[1], line
