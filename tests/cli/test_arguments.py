"""What becomes of the words of a command line before Typer reads them."""

from __future__ import annotations

import pytest

from dmtrack_cli.arguments import prepare_arguments


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("a.mp4 --box 10,20,30,40", ["a.mp4", "--box=10,20,30,40"], id="commas"),
        pytest.param("--box=10,20,30,40 a", ["--box=10,20,30,40", "a"], id="equals-sign-untouched"),
        pytest.param("a --box 10 20 30 40", ["a", "--box=10 20 30 40"], id="four-words"),
        pytest.param("--box 10 20 30 40 a.mp4", ["--box=10 20 30 40", "a.mp4"], id="four-words-then-path"),
        pytest.param("--box 10, 20, 30, 40", ["--box=10, 20, 30, 40"], id="four-words-with-commas"),
        pytest.param("--box -5,10,20,20", ["--box=-5,10,20,20"], id="negative-x"),
        pytest.param("--box -5 10 20 20", ["--box=-5 10 20 20"], id="negative-x-four-words"),
        pytest.param("--box 1e1,2.5,.5,3.", ["--box=1e1,2.5,.5,3."], id="all-sorts-of-numbers"),
        pytest.param("--box 1,2,3,4 --box 5,6,7,8", ["--box=1,2,3,4", "--box=5,6,7,8"], id="twice"),
        pytest.param("a.mp4 --box", ["a.mp4", "--box=pick"], id="bare-at-the-end"),
        pytest.param("--box a.mp4", ["--box=pick", "a.mp4"], id="bare-before-a-path"),
        pytest.param("--box clips/7 b", ["--box=pick", "clips/7", "b"], id="bare-before-a-folder"),
        pytest.param("--box 2024_01.mp4", ["--box=pick", "2024_01.mp4"], id="bare-before-a-numeric-name"),
        pytest.param("--box --overwrite", ["--box=pick", "--overwrite"], id="bare-before-an-option"),
        pytest.param("--box -o out", ["--box=pick", "-o", "out"], id="bare-before-a-short-option"),
        pytest.param("--box -- a.mp4", ["--box=pick", "--", "a.mp4"], id="bare-before-double-dash"),
        pytest.param("--box pick a.mp4", ["--box=pick", "a.mp4"], id="pick-in-words"),
        pytest.param("--box 1,2,3 a.mp4", ["--box=1,2,3", "a.mp4"], id="three-numbers-are-a-bad-box"),
        pytest.param("--box 1 2 3", ["--box=1 2 3"], id="three-words-are-a-bad-box"),
        pytest.param("--box 1 2 3 4 5", ["--box=1 2 3 4 5"], id="five-words-are-a-bad-box"),
        pytest.param("--box 1,2,x,4", ["--box=1,2,x,4"], id="a-letter-is-a-bad-box"),
        pytest.param("--box a,b,c,d", ["--box=a,b,c,d"], id="letters-are-a-bad-box"),
        pytest.param("--box-file gt.txt a.mp4", ["--box-file", "gt.txt", "a.mp4"], id="another-option"),
        pytest.param("-- --box -v", ["--", "--box", "-v"], id="nothing-after-double-dash"),
        pytest.param("track a -v", ["-v", "track", "a"], id="verbose-moves-to-the-front"),
        pytest.param("track --verbose a -vv", ["--verbose", "-vv", "track", "a"], id="verbose-twice"),
    ],
)
def test_words(given, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert prepare_arguments(given.split(" ")) == expected


@pytest.mark.parametrize("word", ["10,20,30,40", "10 20 30 40", "10;20;30;40", " 10, 20, 30, 40 "])
def test_one_word_with_four_numbers_stays_whole(word):
    assert prepare_arguments(["--box", word, "a.mp4"]) == [f"--box={word}", "a.mp4"]


def test_four_words_of_text_are_a_bad_box_and_no_path():
    assert prepare_arguments(["--box", "here on the left"]) == ["--box=here on the left"]


@pytest.mark.parametrize("name", ["1,2,3", "2024", "my clip of today"])
def test_what_exists_is_a_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert prepare_arguments(["--box", name]) == ["--box=pick", name]


def test_four_numbers_are_a_box_even_if_a_file_has_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1,2,3,4").touch()
    assert prepare_arguments(["--box", "1,2,3,4"]) == ["--box=1,2,3,4"]


def test_a_folder_with_a_number_for_a_name_ends_the_box(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").mkdir()
    assert prepare_arguments(["--box", "1", "2", "3", "4", "7"]) == ["--box=1 2 3 4", "7"]
    assert prepare_arguments(["--box", "1,2,3,4", "5"]) == ["--box=1,2,3,4", "5"]
