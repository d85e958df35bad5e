import io
import sys

import pytest

from brainreel.progress import duration, say, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_items_pass_in_silence(capsys):
    assert list(track(iter(range(5)), "counting", 5)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_items_pass_beside_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track([3, 1, 2], "counting")) == [3, 1, 2]
    assert "counting" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


def test_words_for_people_leave_stdout_to_results(capsys):
    say("done")
    assert capsys.readouterr() == ("", "done\n")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (89.4, "89 s"),
        (90.0, "1 min 30 s"),
        (200.0, "3 min 20 s"),
        (5399.9, "1 h 30 min"),
        (5400.0, "1 h 30 min"),
        (7500.0, "2 h 05 min"),
    ],
)
def test_durations_are_read_aloud(seconds, words):
    assert duration(seconds) == words
