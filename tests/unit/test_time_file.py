"""Side files of time stamps: units, tables, and what is wrong with them, by row."""

from __future__ import annotations

from fractions import Fraction

import pytest
from clips import written

from dmtrack.errors import FormatError
from dmtrack.video.time_file import TimestampUnit, read_times


@pytest.fixture
def write(tmp_path):
    return lambda text, name="times.txt": written(tmp_path / name, text)


@pytest.mark.parametrize(
    ("text", "unit", "second"),
    [
        ("0.0\n0.033333\n0.066667\n", TimestampUnit.S, Fraction(33333, 10**6)),
        ("0\n33.3\n66.7\n", TimestampUnit.MS, Fraction(333, 10**4)),
        ("1000000\n1033333\n1066667\n", TimestampUnit.US, Fraction(1033333, 10**6)),
        (
            "1700000000000000000\n1700000000111111111\n",
            TimestampUnit.NS,
            Fraction(1700000000111111111, 10**9),
        ),
        ("1700000000.25\n1700000000.3611\n", TimestampUnit.S, Fraction("1700000000.3611")),
        ("0\n2.4\n4.8\n", TimestampUnit.S, Fraction("2.4")),
        ("0\n2.6\n5.2\n", TimestampUnit.MS, Fraction("0.0026")),
    ],
    ids=["s", "ms", "us", "ns since 1970", "s since 1970", "a frame in 2.4 s", "385 frames a second"],
)
def test_the_unit_is_found_from_the_interval(write, text, unit, second):
    times = read_times(write(text))
    assert times.unit is unit
    assert times.times_s[1] == second
    assert "ms apart" in times.unit_reason


@pytest.mark.parametrize(
    ("name", "text", "unit"),
    [
        ("a.txt", "time_us\n0\n0.5\n", TimestampUnit.US),
        ("a.csv", "frame,timestamp [ms]\n0,0\n1,5000\n", TimestampUnit.MS),
        ("stamps.ms.txt", "0\n0.01\n", TimestampUnit.MS),
        ("rgb_times_ns.txt", "5\n6\n", TimestampUnit.NS),
    ],
    ids=["header", "header of a table", "suffix", "name"],
)
def test_a_stated_unit_is_believed(write, name, text, unit):
    times = read_times(write(text, name))
    assert times.unit is unit
    assert "says" in times.unit_reason


def test_a_letter_in_a_name_is_no_unit(write):
    assert read_times(write("0\n33\n", "cam_s1.txt")).unit is TimestampUnit.MS
    assert read_times(write("0\n33\n", "s.txt")).unit is TimestampUnit.MS


def test_a_given_unit_wins(write):
    assert read_times(write("time_us\n1\n2\n"), TimestampUnit.S).times_s == (1, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# TUM\n1.5 rgb/1.png\n1.6 rgb/2.png\n", ("1.5", "1.6")),
        ("0 10.0\n1 10.1\n2 10.2\n", ("10.0", "10.1", "10.2")),
        ("id;stamp;file\n7;1.0;a\n9;1.1;b\n", ("1.0", "1.1")),
        ("\ufeff0.5\r\n\r\n0.75\r\n", ("0.5", "0.75")),
        ("1e-1\n2e-1\n", ("0.1", "0.2")),
        ("frame time\n0 0.0\n1 0.03\n2 0.06\n", ("0", "0.03", "0.06")),
        ("frame time (s)\n0 0.0\n1 0.03\n2 0.06\n", ("0", "0.03", "0.06")),
        ("name,time_s\nFrame 0,0.0\nFrame 1,0.03\n", ("0", "0.03")),
        ("frame;time_ms\n0;0,000\n1;33,367\n", ("0", "0.033367")),
        ("frame\ttime_ms\n0\t0,000\n1\t33,367\n", ("0", "0.033367")),
        ("0 0,000\n1 0,033\n2 0,067\n", ("0", "0.033", "0.067")),
        ("0,000\n0,033\n0,067\n", ("0", "0.033", "0.067")),
        ("0, 10.0\n1, 10.1\n2, 10.2\n", ("10.0", "10.1", "10.2")),
        ("frame,time_s,exposure_time\n0,0.0,0.01\n1,0.03,0.01\n", ("0", "0.03")),
        ("time_s,delta_time\n0.5,0\n0.53,0.03\n", ("0.5", "0.53")),
        ("12:00:00.000\n12:00:00.033\n12:00:00.067\n", ("43200", "43200.033", "43200.067")),
        ("1970-01-02T00:00:01Z\n1970-01-02T00:00:01.05Z\n", ("86401", "86401.05")),
        ("1970-01-02 01:00:01+01:00\n1970-01-02 01:00:01.05+01:00\n", ("86401", "86401.05")),
        ("frame,timestamp\n0,1970-01-01 00:00:01.5\n1,1970-01-01 00:00:02\n", ("1.5", "2")),
        ("00:00:01,033\n00:00:01,067\n", ("1.033", "1.067")),
        ("0,00:00:01,033000\n1,00:00:01,067000\n", ("1.033", "1.067")),
        ('"frame","time_s"\r\n"0","0.0"\r\n"1","0.03"\r\n', ("0", "0.03")),
        ("n,t_ms,gain\n5,1.5,2\n6,2.5,2\n", ("0.0015", "0.0025")),
        ("gain,pts_us\n5,1500\n6,2500\n", ("0.0015", "0.0025")),
    ],
    ids=[
        *(
            "file names",
            "frame numbers",
            "named column",
            "from Windows",
            "exponents",
            "blanks",
            "unit in brackets",
        ),
        *("names with blanks", "decimal commas", "tabs", "blanks and decimal commas", "decimal commas alone"),
        *(
            "commas and blanks",
            "an exposure too",
            "differences too",
            "times of the day",
            "days",
            "zones",
            "table",
            "times of the day with commas",
            "such in a table",
            "quotes",
            "a short name",
            "a short name and a unit",
        ),
    ],
)
def test_which_column_is_the_stamp(write, text, expected):
    assert read_times(write(text)).times_s == tuple(Fraction(value) for value in expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no time stamps"),
        ("# only words\n", "holds no time stamps"),
        ("0\n0.1\nnan\n", "row 3: 'nan' is not a time stamp"),
        ("0\n0.1\ninf\n", "row 3: 'inf'"),
        ("0\n\n0.1\n0.1\n", "row 4: time stamp 0.1 is not later than 0.1"),
        ("0\n0.2\n0.1\n", "row 3: time stamp 0.1 is not later than 0.2"),
        ("5\n", "unit of its time stamps is not clear"),
        ("0\n0.0001\n", "unit of its time stamps is not clear"),
        ("1.0 2.0\n1.1 2.1\n", "2 columns, and none is named"),
        ("sec,nsec\n100,966666666\n101,1033333333\n", "2 columns, and none is named"),
        ('frame,time_s\n1,"1,0333"\n2,"2,0667"\n', r"""row 2: '"1' is not a time stamp"""),
        ("time_s,stamp_s\n1,2\n2,4\n", "'time_s' and 'stamp_s' are both times"),
        ("12:00:00\n12:00:61\n", "row 2: '12:00:61' is not a time stamp"),
        (b"\xff\x00\x01", "is not a text file"),
        ("0\n1e999\n", "row 2: '1e999' is not a time stamp"),
        ("time\n0\n0x10\n", "row 3: '0x10'"),
        ("time_s\n0\n0.0000000001\n", "row 3: time stamp 1e-10 is not later than 0"),
        ("time_s\n1700000000000\n1700000000033\n", "row 2: time stamp 1700000000000 is no time in s"),
    ],
    ids=[
        "empty",
        "comment",
        "nan",
        "inf",
        "equal",
        "backwards",
        "one stamp",
        "too close",
        "two columns",
        "more nanoseconds than a second has",
        "quoted decimal commas",
        "two times",
        "no time of the day",
        "binary",
        "huge exponent",
        "hexadecimal",
        "less than a nanosecond apart",
        "the wrong unit stated",
    ],
)
def test_what_is_wrong_is_named_by_row(write, text, message):
    path = write(text)
    with pytest.raises(FormatError, match="times") as caught:
        read_times(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        "sec,nsec",
        "secs,nsecs",
        "nsecs,secs",
        "t_s,t_us",
        "header.stamp.sec,header.stamp.nanosec",
        "field.secs,field.nsecs",
        "time [s],time [ns]",
    ],
)
@pytest.mark.parametrize("first", ["", "frame"])
def test_seconds_and_their_parts_are_one_time(write, header, first):
    """They were refused, though ROS writes nothing else."""
    names = header.split(",")
    per_s = 1_000_000 if "us" in header else 1_000_000_000
    stamps = [Fraction(1_700_000_000_500_000 + 33_333 * number, 1_000_000) for number in range(40)]
    lines = [",".join(filter(None, (first, *names)))]
    for number, stamp in enumerate(stamps):
        parts = [str(int(stamp)), str(int(stamp % 1 * per_s))]
        ordered = parts[::-1] if names[0] == "nsecs" else parts
        lines.append(",".join([str(number)] * bool(first) + ordered))
    found = read_times(write("\n".join(lines) + "\n"))
    assert list(found.times_s) == stamps
    assert (found.unit, found.unit_is_guess) == (TimestampUnit.S, False)


@pytest.mark.parametrize("header", ["time_s,exposure_us", "exposure_s,exposure_us,time_s", "time_s,time_us"])
def test_other_columns_are_no_parts_of_a_second(write, header):
    """An exposure is none, nor are the same times in another unit."""
    whole = {"time_s": 1, "time_us": 1_000_000}
    rows = [
        ",".join(str(whole.get(name, 0) * (5 + n) or 250) for name in header.split(",")) for n in range(9)
    ]
    if header == "time_s,time_us":
        with pytest.raises(FormatError, match="both times"):
            read_times(write("\n".join([header, *rows])))
    else:
        assert read_times(write("\n".join([header, *rows]))).times_s == tuple(range(5, 14))


def test_times_keep_to_nanoseconds(write):
    assert read_times(write("0.123456789012345\n1\n")).times_s == (Fraction(123456789, 10**9), 1)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        read_times(tmp_path / "none.txt")


def test_counts_that_differ_name_the_row(write):
    times = read_times(write("time_s\n0\n0.1\n0.2\n"))
    times.require_count(3)
    with pytest.raises(FormatError, match="row 4 has no frame"):
        times.require_count(2)
    with pytest.raises(FormatError, match=r"frame 3 \(from 0\) has none, the last is in row 4"):
        times.require_count(5)
