"""Formulas as docstrings write them, `S_ij = (1 - r) S_ij^-1/2 + sum_{j != i} x_j`, as HTML with subscripts and Greek.

Docstrings keep formulas in plain text, so that `help()` shows them; the site sets them. What looks like a word stays a
word, so a line may be half formula and half sentence, as most are.
"""

import html
import re


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GREEK = dict(
    zip(
        _words("alpha beta gamma delta eps epsilon eta theta lambda mu nu xi pi rho sigma tau phi chi psi omega"),
        "αβγδεεηθλμνξπρστφχψω",
    )
)
OPERATORS = {
    "->": "→",
    "<-": "←",
    "<=": "≤",
    ">=": "≥",
    "!=": "≠",
    "-+": "∓",
    "+-": "±",
    "...": "…",
    "..": "…",
    "||": "‖",
    "~": "∼",
}
FUNCTIONS = frozenset(
    _words(
        "argmax argmin clip cos cov det diag erf exp floor ln log max mean median min norm sd sigmoid sign softmax "
        "softplus sqrt tanh tr unit var"
    )
)
"""Upright, and may have a subscript; what else has several letters and a bracket is a name of the code."""
PROSE = frozenset(_words("and as by for from in is of or over so that the to where with"))
SCRIPT = re.compile(
    r"(?P<kind>[_^])(?:\{(?P<braced>(?:[^{}]|\{[^{}]*\})*)\}|\((?P<bracketed>[^()]*)\)"
    r"|(?P<plain>-?(?:[A-Za-z0-9]+|\*)(?:,[A-Za-z0-9]+)*(?:(?<=\d)/\d+)?))"
)
TOKEN = re.compile(
    r'(?P<quoted>"[^"]*"|`[^`]*`|--[a-z][a-z-]*)|(?P<space> +)|(?P<word>[A-Za-z]+\d*)'
    r"|(?P<number>\d[\d,]*\d(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"|(?P<operator>->|<-|<=|>=|!=|-\+|\+-|\.{2,3}|\|\||~)|(?P<other>.)"
)
NAME = re.compile(r"[A-Za-z]\w*[A-Za-z0-9](?:\.\w+)*(?=\()|[A-Za-z]+(?:_[A-Za-z]{3,})+")
"""A name of the code: of several letters before a bracket, or with an underscore and whole words."""


def typeset(line: str) -> str:
    """One line as HTML."""
    made, at = [], 0
    while at < len(line):
        name = NAME.match(line, at) if not line[at - 1 : at].isalnum() or at == 0 else None
        if name and _is_code(name[0]):
            made.append(f"<code>{name[0]}</code>")
            at = name.end()
            continue
        found = TOKEN.match(line, at)
        assert found  # `.` matches whatever is left
        text, at = _token(found, line), found.end()
        scripts, at = _scripts(line, at, found)
        made.append(text + scripts)
    return "".join(made)


def _is_code(name: str) -> bool:
    base, _, script = name.partition("_")
    if base.isupper() or base in FUNCTIONS or base in GREEK or base in ("sum", "prod", "grad"):
        return False
    return "." in name or (len(script) != 1 and (len(base) > 1 or len(script) > 2))


def _token(found: re.Match[str], line: str) -> str:
    text, before, after = found[0], line[: found.start()], line[found.end() :]
    match found.lastgroup:
        case "quoted":
            return f"<code>{html.escape(text.strip('`'))}</code>"
        case "space":
            return " " if len(text) == 1 else '<span class="gap"> </span>'
        case "word":
            return _word(text, before, after)
        case "operator":
            return OPERATORS[text]
        case "other":
            return _mark(text, before, after)
    return text


def _word(word: str, before: str, after: str) -> str:
    if word == "R2":
        return "<i>R</i><sup>2</sup>"
    if word in GREEK:
        return f"<i>{GREEK[word]}</i>"
    if word in ("sum", "prod") and re.match(r"_| +[^\sA-Za-z]| +[A-Za-z](?![A-Za-z])", after):
        return f'<span class="big">{"∑" if word == "sum" else "∏"}</span>'
    if word == "sqrt" and after.startswith("("):
        return "√"
    if word == "grad" and after.startswith("_"):
        return "∇"
    if (
        word == "in"
        and re.search(r"(?:^|[^A-Za-z])[A-Za-z](?:_\w+)? $", before)
        and re.match(r" [A-Z{\[](?![a-z])", after)
    ):
        return "∈"
    if word == "x" and re.search(r"\d $", before) and re.match(r" \d", after):
        return "×"
    following = re.match(r"[ -]([A-Za-z]{2,})(?!\()", after)
    article = word == "a" and following and following[1] not in PROSE | FUNCTIONS | GREEK.keys()
    return word if len(word) > 1 or article else f"<i>{word}</i>"


def _mark(mark: str, before: str, after: str) -> str:
    spaced = before.endswith(" ") and after.startswith(" ")
    if mark == "-":
        hyphen = (
            re.search(r"[A-Za-z]$", before)
            and re.match(r"\w", after)
            and re.search(r"\w{2}-\w|\w-\w{2}", f"{before[-2:]}-{after[:2]}")
        )
        return "-" if hyphen or (re.search(r"[\d)]$", before) and re.match(r"D\b|th\b", after)) else "−"
    if mark == "*":
        return "·" if spaced else "∗"
    if mark == "." and (
        spaced or (re.search(r"(?:^|\W)[a-z](?:_\w|')?$", before) and re.match(r"[a-z](?![a-z])", after))
    ):
        return "·"
    if mark == "<" and re.search(r"(?:^|[ (])$", before) and re.match(r"\S[^<>]*>", after):
        return "⟨"
    if mark == ">" and re.search(r"[ (]<\S[^<>]*$|^<\S[^<>]*$", before):
        return "⟩"
    return "′" if mark == "'" else html.escape(mark)


def _scripts(line: str, at: int, found: re.Match[str]) -> tuple[str, int]:
    """What is attached to a token, an apostrophe or an accent, primes, low and high parts; and where that ends."""
    base = found[0]
    if found.lastgroup in ("space", "operator") and base != "||":
        return "", at
    if apostrophe := re.match(r"'s\b" if len(base) < 3 else r"'s\b|'(?= )", line[at:]):
        return apostrophe[0].replace("'", "’"), at + apostrophe.end()
    accent = ""
    if len(base) == 1 and base.isalpha() and re.match(r"~|\^_", line[at:]):
        accent, at = "\u0303" if line[at] == "~" else "\u0302", at + 1
    lower = upper = ""
    while at < len(line):
        if primes := re.match(r"'+|\*(?=[_,) ]|$)" if base.isalpha() else "'+", line[at:]):
            upper += primes[0].replace("'", "′").replace("*", "∗")
            at += primes.end()
        elif (script := SCRIPT.match(line, at)) and _may_have(base, script):
            inside = next(part for part in (script["braced"], script["bracketed"], script["plain"]) if part is not None)
            if script["kind"] == "_":
                lower += _script(inside)
            else:
                upper += _script(inside)
            at = script.end()
        else:
            break
    return accent + _stacked(lower, upper), at


def _may_have(base: str, script: re.Match[str]) -> bool:
    """Whether this subscript belongs to mathematics: not where it is the second half of a name such as nt_xent."""
    plain = script["plain"]
    return not (
        script["kind"] == "_" and plain and len(base) > 1 and base not in FUNCTIONS | {"sum", "prod"} and len(plain) > 3
    )


def _script(text: str) -> str:
    if re.fullmatch(r"[a-z]{1,4}(,[a-z]{1,4})*", text) and text not in GREEK:
        return f"<i>{text}</i>"
    return re.sub(r"(?<=[^\s<]) in (?=\S)", " ∈ ", typeset(text)) if " in " in text else typeset(text)


def _stacked(lower: str, upper: str) -> str:
    if set(upper) <= {"′"} and lower:
        return f"{upper}<sub>{lower}</sub>"
    if lower and upper:
        return f'<span class="scripts"><sup>{upper}</sup><sub>{lower}</sub></span>'
    if upper and set(upper) <= {"′"}:
        return upper
    return (f"<sub>{lower}</sub>" if lower else "") + (f"<sup>{upper}</sup>" if upper else "")


def block(lines: list[str]) -> str:
    """Lines of one block of a docstring as HTML without blank lines; labels, where there are any, in their column."""
    column = _column(lines)
    lines = _joined(lines, column) if column else lines
    rows = []
    for line in lines:
        label, content = (line[:column].rstrip(), line[column:]) if column else ("", line)
        indent = len(content) - len(content.lstrip())
        pad = f' style="padding-left: {indent / 2}em"' if indent else ""
        name = f'<span class="label">{typeset(label)}</span>' if column else ""
        rows.append(f"{name}<span{pad}>{typeset(content.strip())}</span>")
    kind = "formula labelled" if column else "formula"
    return f'<div class="{kind}">' + "".join(rows) + "</div>"


def _column(lines: list[str]) -> int:
    """Where the second column starts, if lines begin with labels that end there; 0 without labels."""
    if len(lines) < 2:
        return 0
    starts = [len(found[0]) for line in lines if (found := re.match(r"\S+(?: \S+)*? {2,}(?=\S)", line))]
    column = max(set(starts), key=starts.count) if starts else 0
    for line in lines:
        head, gap = line[:column].rstrip(), line[column - 2 : column]
        if gap.strip() or ("=" in head and " " in head) or not line[column : column + 1].strip():
            return 0
    return column


def _joined(lines: list[str], column: int) -> list[str]:
    """A sentence that goes on in the next line of the second column, in one line."""
    made: list[str] = []
    for line in lines:
        goes_on = made and not line[:column].strip() and re.search(r"[a-z,]$", made[-1])
        if goes_on and re.match(r"[a-z`(][a-z`]", line[column:]):
            made[-1] += " " + line[column:]
        else:
            made.append(line)
    return made
