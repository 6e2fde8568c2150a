"""Rows that show the same, whichever side of a cut they stand on."""

from bouba.data.duplicates.find import Duplicates as Duplicates
from bouba.data.duplicates.find import Pair as Pair
from bouba.data.duplicates.find import duplicates as duplicates
