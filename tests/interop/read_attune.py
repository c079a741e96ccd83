"""Reads streams of the profile `attune`: four fields, a stream for each type.

Usage: read_attune.py URL [KEY...]; without keys it finds them by SCAN.
"""

from attune_reader import understand
from planbus_readers import main, scan

PREFIX = "empathy:events:"

main(understand(PREFIX), scan(PREFIX + "*"))
