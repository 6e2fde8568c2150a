"""A condition that a person wrote -> one that LanceDB runs: every column named exactly, every value a literal, and no
cost without bound."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bouba.data.characters import one_form, same_name
from bouba.errors import UsageError, nearest
from bouba.search.columns import IndexColumn, quoted

LONGEST = 1 << 20  # characters of a condition
DEEPEST = 16  # conditions inside conditions
COMPARISONS = 1000
LISTED = 10_000  # values after IN
PATTERN, RUNS = 1000, 16  # characters of a LIKE pattern, and "any text" in it
SHOWN = 20  # columns in a message

TOKEN = re.compile(
    r"""\s*(?:(?P<text>'[^']*(?:''[^']*)*')|(?P<quoted>`[^`]*(?:``[^`]*)*`|"[^"]*(?:""[^"]*)*")|(?P<word>[^\W\d][\w.]*)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<sign><>|!=|==|<=|>=|[=<>(),-]))""",
    re.VERBOSE,
)
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
COMPARED = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
WORDS = ("AND", "OR", "NOT", "IN", "LIKE", "ILIKE", "BETWEEN", "IS", "NULL", "TRUE", "FALSE")
FUNCTIONS = ("LOWER", "UPPER")
END = ("end", "")

Literal = str | int | float | bool | None


class NoFilter(ValueError):
    """Why a text is no condition."""


@dataclass(frozen=True)
class Operand:
    """A column, maybe in lower or upper case, as SQL."""

    sql: str
    column: IndexColumn


def condition(text: str, columns: Sequence[IndexColumn]) -> str:
    """SQL for LanceDB of a condition over the columns.

    It may compare columns with values and each other (=, <>, <, <=, >, >=, BETWEEN, IN, LIKE, ILIKE, IS NULL, IS TRUE,
    the last with bool columns), also LOWER(column), with AND, OR, NOT and parentheses. Columns are named as their owner
    named them; what is no plain word stands in backticks or double quotes. Text is compared in one form.

    Raises:
        UsageError: no such column, a value of another kind, other SQL, or a condition beyond the limits above.
    """
    try:
        if len(text) > LONGEST:
            raise NoFilter(f"{len(text):,} characters; {LONGEST:,} are the most")
        return _Parser(list(_tokens(text)), columns).whole()
    except NoFilter as error:
        names = [f"`{column.name}` ({column.kind})" for column in columns]
        listed = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        shown = text if len(text) <= 200 else text[:200] + "..."
        raise UsageError(
            f"where={shown!r} is not a filter over this index ({error}); its columns are {listed or 'none'}; "
            "text goes in single quotes"
        ) from None


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of each part, text and quoted names without their quotes, END at last."""
    place, stop = 0, len(text.rstrip())
    while place < stop:
        match = TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise NoFilter(f"{text[place:stop].strip()[:20]!r} at character {place} begins nothing that a filter has")
        kind, part, place = match.lastgroup, match[match.lastgroup], match.end()
        yield kind, part[1:-1].replace(part[0] * 2, part[0]) if kind in ("text", "quoted") else part
    yield END


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[tuple[str, str]], columns: Sequence[IndexColumn]):
        self.tokens, self.place, self.depth, self.comparisons = tokens, 0, 0, 0
        own = [IndexColumn(name, name, kind) for name, kind in (("_row", "int"), ("_view", "str"), ("_path", "str"))]
        self.columns = {column.name: column for column in (*own, *columns)}
        self.stored = {column.stored: column for column in (*own, *columns)}

    def whole(self) -> str:
        sql = self._any()
        if self._now != END:
            raise NoFilter(f"{self._now[1]!r:.40} stands after its end")
        return sql

    @property
    def _now(self) -> tuple[str, str]:
        return self.tokens[self.place]

    def _next(self) -> tuple[str, str]:
        token = self._now
        self.place += token != END
        return token

    def _takes(self, *words: str) -> bool:
        """Step over these words or signs if they come now."""
        ahead = self.tokens[self.place : self.place + len(words)]
        fits = [part.upper() for kind, part in ahead if kind in ("word", "sign")] == list(words)
        self.place += len(words) if fits else 0
        return fits

    def _expect(self, *words: str) -> None:
        if not self._takes(*words):
            raise NoFilter(f"{' '.join(words)} is expected, not {self._now[1]!r:.40}")

    def _any(self) -> str:
        return self._joined("OR", lambda: self._joined("AND", self._one))

    def _joined(self, word: str, part: Callable[[], str]) -> str:
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        return f" {word} ".join(parts)

    def _one(self) -> str:
        """A comparison, or a condition in parentheses or after NOT."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise NoFilter(f"it nests deeper than {DEEPEST}")
        if self._takes("NOT"):
            sql = f"NOT ({self._one()})"
        elif self._takes("("):
            sql = f"({self._any()})"
            self._expect(")")
        else:
            sql = self._comparison()
        self.depth -= 1
        return sql

    def _comparison(self) -> str:
        self.comparisons += 1
        if self.comparisons > COMPARISONS:
            raise NoFilter(f"it holds more than {COMPARISONS:,} comparisons; IN (...) takes up to {LISTED:,} values")
        left = self._operand()
        sign = COMPARED.get(self._now[1]) if self._now[0] == "sign" else None
        if sign is not None:
            self._next()
            return _compared(left, sign, self._operand())
        if not isinstance(left, Operand):
            raise NoFilter(f"{left!r:.40} is no comparison")
        if self._takes("IS"):
            return self._is(left)
        opposite = "NOT " if self._takes("NOT") else ""
        if self._takes("BETWEEN"):
            low = self._literal()
            self._expect("AND")
            between = f"({_compared(left, '>=', low)} AND {_compared(left, '<=', self._literal())})"
            return f"NOT {between}" if opposite else between
        if self._takes("IN"):
            values = self._list()
            listed = ", ".join(_sql(left.column, value) for value in values)
            return f"{_wide(left, *values)} {opposite}IN ({listed})"
        for word in ("LIKE", "ILIKE"):
            if self._takes(word):
                return f"{left.sql} {opposite}{word} {quoted(_pattern(left, self._literal()))}"
        if left.column.kind != "bool" or opposite:
            raise NoFilter(f"{left.column.name!r} by itself is no condition" if not opposite else "NOT stands alone")
        return left.sql

    def _is(self, left: Operand) -> str:
        opposite = "NOT " if self._takes("NOT") else ""
        word = self._next()[1].upper()
        if word == "NULL" or (word in ("TRUE", "FALSE") and left.column.kind == "bool"):
            return f"{left.sql} IS {opposite}{word}"
        raise NoFilter(f"IS takes NULL, or TRUE and FALSE of a bool column, not {word!r:.40}")

    def _list(self) -> list[Literal]:
        self._expect("(")
        values = [self._literal()]
        while self._takes(","):
            values.append(self._literal())
        self._expect(")")
        if len(values) > LISTED:
            raise NoFilter(f"IN holds {len(values):,} values; {LISTED:,} are the most")
        return values

    def _operand(self) -> Operand | Literal:
        kind, part = self._now
        if kind not in ("word", "quoted") or (kind == "word" and part.upper() in WORDS):
            return self._literal()
        self._next()
        if kind == "word" and self._takes("("):
            if part.upper() not in FUNCTIONS:
                raise NoFilter(f"{part}() is no function of filters; there is {' and '.join(FUNCTIONS)}")
            inner = self._operand()
            self._expect(")")
            if not isinstance(inner, Operand) or inner.column.kind != "str":
                raise NoFilter(f"{part}() takes a column of text")
            return Operand(f"{part.lower()}({inner.sql})", inner.column)
        column = self._column(part)
        return Operand(f"`{column.compared}`", column)

    def _column(self, name: str) -> IndexColumn:
        for known in (self.columns, self.stored):
            if (column := known.get(same_name(name, known))) is not None:
                return column
        folded = [column for known, column in self.columns.items() if known.casefold() == name.casefold()]
        if len(folded) != 1:
            raise NoFilter(f"no column {name!r:.80}{nearest(name, self.columns)}")
        return folded[0]

    def _literal(self) -> Literal:
        negative = self._takes("-")
        kind, part = self._next()
        if kind == "number":
            number: int | float = int(part) if part.isdecimal() and len(part) < 20 else float(part)
            return -number if negative else number
        if kind == "text" and not negative:
            return part
        if kind == "word" and part.upper() in ("TRUE", "FALSE", "NULL") and not negative:
            return {"TRUE": True, "FALSE": False, "NULL": None}[part.upper()]
        raise NoFilter(f"a value is expected, not {part!r:.40}" if part else "it breaks off")


def _compared(left: Operand | Literal, sign: str, right: Operand | Literal) -> str:
    """Two sides, one of them a column or both."""
    if not isinstance(left, Operand):
        if not isinstance(right, Operand):
            raise NoFilter(f"{left!r:.40} {sign} {right!r:.40} names no column")
        return _compared(right, FLIPPED.get(sign, sign), left)
    if isinstance(right, Operand):
        numbers = {left.column.kind, right.column.kind} <= {"int", "float"}
        if not numbers and left.column.kind != right.column.kind:
            raise NoFilter(f"{left.column.name!r} holds {left.column.kind}, {right.column.name!r} {right.column.kind}")
        return f"{left.sql} {sign} {right.sql}"
    return f"{_wide(left, right)} {sign} {_sql(left.column, right)}"


def _sql(column: IndexColumn, value: Literal) -> str:
    """A value as SQL, of the kind of the column that it is compared with."""
    if value is None:
        return "NULL"
    if isinstance(value, str) and column.kind != "str":
        value = column.parsed(value)
    if column.kind == "str" and isinstance(value, str):
        return quoted(one_form(value))
    if column.kind == "bool" and isinstance(value, bool):
        return "true" if value else "false"
    if column.kind in ("int", "float") and isinstance(value, int | float) and not isinstance(value, bool):
        if column.kind == "int" and _fits(value):
            return repr(int(value))
        if not math.isnan(value):
            return repr(float(value)).replace("inf", "1e999")  # SQL has no word for infinity
    raise NoFilter(f"column {column.name!r} holds {column.kind}, got {value!r:.40}")


def _wide(side: Operand, *values: Literal) -> str:
    """The column, as floats where it holds whole numbers and one of the values is none."""
    if side.column.kind != "int":
        return side.sql
    numbers = [side.column.parsed(value) if isinstance(value, str) else value for value in values]
    whole = all(_fits(number) for number in numbers if isinstance(number, int | float))
    return side.sql if whole else f"CAST({side.sql} AS DOUBLE)"


def _fits(number: float) -> bool:
    """Whether a number is a whole one of 64 bits."""
    return -(2**63) < number < 2**63 and number == int(number)  # NaN is not


def _pattern(side: Operand, value: Literal) -> str:
    if side.column.kind != "str" or not isinstance(value, str):
        raise NoFilter("LIKE compares a column of text with a text")
    pattern = re.sub("%+", "%", one_form(value))
    if len(pattern) > PATTERN or pattern.count("%") > RUNS:
        raise NoFilter(f"a pattern has {PATTERN:,} characters and {RUNS} % at most")
    return pattern
