"""The samples of pylogsparser, from its unpacked source distribution, as JSON lines: those in its normalizers and those in its tests.

Its tests are Python 2. They call `aS(line, expected, …)` only, so they are run with stand-ins for what they import, at a fixed
moment, and what they would have compared is written down. The test that reads /etc/timezone is skipped, as it skips itself.
"""

import datetime as real
import json
import re
import sys
import types
import unittest
from pathlib import Path
from xml.etree import ElementTree

NOW = real.datetime(2026, 11, 21, 12, 0, 0)


def say(place, line, expected, missing=()):
    print(json.dumps({"place": place, "line": line, "expected": expected, "missing": list(missing)}, ensure_ascii=False))


def normalizers(folder):
    for path in sorted(folder.glob("*.xml")):
        root = ElementTree.fromstring(path.read_bytes())
        for example in root.iterfind(".//example") if root.tag == "normalizer" else ():
            tags = {tag.get("name"): tag.text or "" for tag in example.iterfind(".//expectedTag")}
            say(path.name, example.find("text").text, tags)


class Clock(real.datetime):
    """The moment stands still."""

    @classmethod
    def now(cls, tz=None):
        return cls(*NOW.timetuple()[:6])


def tests(path):
    place = ""

    def assert_sample(_, line, expected, notexpected=(), tzinfo=None):
        say(place, line, {tag: str(value) for tag, value in expected.items()}, notexpected)

    normalizer = types.SimpleNamespace(LogNormalizer=lambda _: None)
    sys.modules["logsparser"] = types.SimpleNamespace(lognormalizer=normalizer)
    sys.modules["pytz"] = types.SimpleNamespace()
    sys.modules["datetime"] = types.SimpleNamespace(datetime=Clock, timedelta=real.timedelta)
    code = path.read_text()
    code = re.sub(r"^normalizer_path = .*$", "normalizer_path = ''", code, flags=re.M)
    # `02` is a number to it, and a tab as wide as eight blanks.
    code = re.sub(r"(?<=datetime\()[\d, ]+(?=\))", lambda parts: re.sub(r"\b0+(?=\d)", "", parts[0]), code)
    code = re.sub(r"^[ \t]+", lambda blanks: blanks[0].expandtabs(8), code, flags=re.M)
    space = {"__name__": "samples", "unicode": lambda text, _: text}
    exec(compile(code, str(path), "exec"), space)
    case = space["Test"]
    case.aS = assert_sample
    for place in [name for name in vars(case) if name.startswith("test_")]:
        try:
            getattr(case(place), place)()
        except unittest.SkipTest:
            pass


folder = Path(sys.argv[1])
normalizers(folder / "normalizers")
tests(folder / "tests" / "test_log_samples.py")
