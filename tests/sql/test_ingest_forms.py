import gzip
import hashlib
import json

import pytest
from raw_folders import NOW, land, landed, put, smallest_folder

from mission_pipeline.contracts.quality import LoadedFiles
from mission_pipeline.errors import InputFault
from mission_pipeline.ingest import tolerant


def runs(*run_ids):
    return [
        {"run_id": run_id, "mission_id": "M1", "start_time": "2026-02-01T10:00:00Z", "status": "completed"}
        for run_id in run_ids
    ]


@pytest.fixture
def raw_data(tmp_path):
    return smallest_folder(tmp_path / "raw", without=("mission_runs",))


@pytest.mark.parametrize("ending", ["json", "json.gz", "jsonl", "jsonl.gz", "ndjson", "ndjson.gz"])
def test_every_form_lands_the_same(build, raw_data, ending):
    put(raw_data, f"mission_runs.{ending}", runs("R2", "R1"))
    report = land(build, raw_data)
    assert landed(build, "mission_runs", "file, file_order, row, run_id, is_current, record") == [
        (f"mission_runs.{ending}", 1, 1, "R2", True, None),
        (f"mission_runs.{ending}", 1, 2, "R1", True, None),
    ]
    assert report.counts["mission_runs"] == 2
    assert report.files_read == 7


def test_files_and_drops_mix_in_their_order(build, raw_data):
    put(raw_data, "mission_runs/2026/02.jsonl", runs("R4"))
    put(raw_data, "mission_runs/2026/01.json.gz", runs("R2", "R3"))
    put(raw_data, "mission_runs.json", runs("R1"))
    land(build, raw_data)
    assert landed(build, "mission_runs", "file_order, row, run_id") == [
        (1, 1, "R1"), (2, 1, "R2"), (2, 2, "R3"), (3, 1, "R4"),
    ]  # fmt: skip


def test_rows_keep_the_order_of_a_file_larger_than_one_batch(build, raw_data):
    put(raw_data, "mission_runs.json", runs(*(f"R{i}" for i in range(20_000))))
    put(raw_data, "mission_runs.jsonl", runs(*(f"L{i}" for i in range(20_000))))
    land(build, raw_data)
    wrong = "select count(*) from raw.mission_runs where run_id[2:]::bigint <> row - 1"
    assert (build.scalar("select count(*) from raw.mission_runs"), build.scalar(wrong)) == (40_000, 0)


def test_no_records_are_no_fault_and_are_said(build, raw_data):
    put(raw_data, "mission_runs.json", "[]")
    put(raw_data, "mission_risk_events.jsonl", "")
    report = land(build, raw_data)
    assert landed(build, "mission_runs", "run_id") == []
    assert "mission_runs holds no records." in report.notes
    assert "mission_risk_events holds no records." in report.notes


def test_a_byte_order_mark_is_accepted_in_either_form(build, raw_data):
    put(raw_data, "mission_runs.json", b"\xef\xbb\xbf" + json.dumps(runs("R1")).encode())
    put(raw_data, "mission_runs.jsonl", b"\xef\xbb\xbf" + json.dumps(runs("R2")[0]).encode())
    land(build, raw_data)
    assert landed(build, "mission_runs", "run_id, record") == [("R1", None), ("R2", None)]


def test_blank_lines_count_as_lines_and_are_no_records(build, raw_data):
    first, second = (json.dumps(run) for run in runs("R1", "R2"))
    put(raw_data, "mission_runs.jsonl", f"\n{first}\r\n  \n\n{second}\n\n")
    land(build, raw_data)
    assert landed(build, "mission_runs", "row, run_id") == [(2, "R1"), (5, "R2")]


def test_lines_without_a_last_newline_are_whole(build, raw_data):
    put(raw_data, "mission_runs.jsonl", "\n".join(json.dumps(run) for run in runs("R1", "R2")))
    land(build, raw_data)
    assert landed(build, "mission_runs", "row, run_id") == [(1, "R1"), (2, "R2")]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_a_bad_line_is_kept_as_it_stands_and_the_rest_goes_on(build, raw_data, ending):
    good = json.dumps(runs("R1")[0])
    bad = ['{"run_id": "R2"', "{} {}", "7", '"text"', "null", "[1]", '{"run_id" "R3"}', good + ","]
    put(raw_data, f"mission_runs.{ending}", "\n".join([good, *bad, good]))
    land(build, raw_data)
    found = landed(build, "mission_runs", "row, run_id, record, misfits")
    assert found[0] == (1, "R1", None, None)
    assert found[1:-1] == [(row, None, text, ["(record)"]) for row, text in enumerate(bad, start=2)]
    assert found[-1] == (10, "R1", None, None)


def test_a_torn_last_line_is_a_bad_line_even_within_a_character(build, raw_data):
    whole = json.dumps(runs("R1")[0])
    put(raw_data, "mission_runs.jsonl", whole.encode() + b'\n{"run_id": "R\xc3')
    land(build, raw_data)
    assert landed(build, "mission_runs", "row, run_id, record, misfits") == [
        (1, "R1", None, None),
        (2, None, '{"run_id": "R\\xc3', ["(record)"]),
    ]


def test_elements_that_are_no_objects_are_kept_as_they_stand(build, raw_data):
    put(raw_data, "mission_runs.json", '[7, "text", null, [{"run_id": "R1"}], {"run_id": "R2"}, {}]')
    land(build, raw_data)
    assert landed(build, "mission_runs", "row, run_id, record, misfits") == [
        (1, None, "7", ["(record)"]),
        (2, None, '"text"', ["(record)"]),
        (3, None, "null", ["(record)"]),
        (4, None, '[{"run_id": "R1"}]', ["(record)"]),
        (5, "R2", None, None),
        (6, None, None, None),
    ]


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_a_lone_surrogate_costs_its_record_only(build, raw_data, ending):
    lone, pair = '{"run_id": "R\\ud800", "status": "x"}', '{"run_id": "R\\ud83d\\ude00"}'
    escaped, low = '{"run_id": "R\\\\ud800"}', '{"run_id": "R", "status": "\\uDFFF"}'
    records = [lone, pair, escaped, low]
    put(raw_data, f"mission_runs.{ending}", "[" + ",".join(records) + "]" if ending == "json" else "\n".join(records))
    land(build, raw_data)
    assert landed(build, "mission_runs", "run_id, status, record, misfits") == [
        (None, "x", lone, ["run_id"]),
        ("R😀", None, None, None),
        ("R\\ud800", None, None, None),
        ("R", "�", low, None),
    ]


def test_a_large_record_is_read_and_one_beyond_the_limit_refused(build, raw_data, monkeypatch):
    large = {**runs("R1")[0], "requested_by": "x" * 34_000_000}
    put(raw_data, "mission_runs.jsonl", [large])
    put(raw_data, "mission_runs.json", [large])
    land(build, raw_data)
    assert landed(build, "mission_runs", "length(requested_by)") == [34_000_000, 34_000_000]
    monkeypatch.setattr(tolerant, "MAX_RECORD_BYTES", 33_000_000)
    for name in ("mission_runs.json", "mission_runs.jsonl"):
        with pytest.raises(InputFault, match=rf"^{name}: (record|line) 1 is larger than 31 MB"):
            land(build, raw_data, rebuild=True)
        (raw_data / name).unlink()


@pytest.mark.parametrize(
    "name", ["[1]", "a*", "a?", "it's", 'say "x"', " two  words", "ü", "{a,b}", "back\\slash", "$1"]
)
def test_no_character_of_a_path_is_special(build, tmp_path, name):
    raw_data = smallest_folder(tmp_path / name)
    put(raw_data, f"mission_runs/{name}.json", runs("R2"))
    put(raw_data, "mission_runs/ab.json", runs("R3"))  # what a pattern would find as well
    put(raw_data, "mission_runs/1.json", runs("R4"))
    land(build, raw_data)
    assert landed(
        build, "mission_runs", "run_id", f"file = 'mission_runs/{name.replace(chr(39), 2 * chr(39))}.json'"
    ) == ["R2"]
    assert sorted(landed(build, "mission_runs", "run_id")) == ["R1", "R2", "R3", "R4"]


FAULTS = {
    "nothing": ("json", b"", "is empty"),
    "blanks": ("json", b" \n ", "is empty"),
    "only a byte-order mark": ("json", b"\xef\xbb\xbf", "is empty"),
    "only an opening bracket": ("json", b"[", "is cut short: it ends at line 1, column 2"),
    "cut within a record": ("json", b'[{"a": 1},\n {"b": ', "is cut short: it ends at line 2, column 8"),
    "cut within a text": ("json", b'[{"a": 1},\n {"b', "is cut short: a text that begins at line 2, column 3"),
    "cut within a character": ("json", b'[{"a": "\xc3', "is cut short: it ends at line 1, column 9"),
    "cut after a record": ("json", b'[{"a": 1}', "is cut short: it ends at line 1, column 10"),
    "cut after a comma": ("json", b'[{"a": 1},\n', "is cut short: it ends at line 2, column 1"),
    "cut after a comma, compressed": ("json.gz", b'[{"a": 1},\n', "is cut short: it ends at line 2, column 1"),
    "an object": ("json", b'\n{"a": 1}', "holds an object where an array should be, at line 2, column 1"),
    "a number": ("json", b"7", "holds a number where an array should be"),
    "null": ("json", b"null", "holds null where an array should be"),
    "no JSON": ("json", b"?", "holds something else where an array should be"),
    "lines": ("json", b'{"a": 1}\n{"a": 2}\n', "holds one object a line where an array should be"),
    "lines, compressed": ("json.gz", b'{"a": 1}\n{"a": 2}\n', "end in .jsonl.gz"),
    "two arrays": ("json", b"[]\n[]", "is not valid JSON at line 2, column 1: something follows the array"),
    "a comma at the end": ("json", b'[{"a": 1},]', "column 10: a comma stands before the closing ]"),
    "no comma": ("json", b'[{"a": 1}\n{"a": 2}]', "line 2, column 1: a comma or ] is missing"),
    "no value": ("json", b'[{"a": 1},\n {"b": }]', "line 2, column 8"),
    "a word": ("json", b'[{"a": nothing}]', "line 1, column 8"),
    "Latin-1": ("json", '[{"a": 1},\n {"b": "é"}]'.encode("latin-1"), "not UTF-8: byte 0xe9 at line 2, column 9"),
    "UTF-16": ("json", '[{"a": 1}]'.encode("utf-16"), "not UTF-8 but UTF-16"),
    "UTF-16 without a mark": ("json", '[{"a": 1}]'.encode("utf-16-le"), "not UTF-8 but UTF-16"),
    "UTF-16 lines": ("jsonl", '{"a": 1}'.encode("utf-16"), "not UTF-8 but UTF-16"),
    "gzip by a plain name": ("json", gzip.compress(b"[]"), "Add .gz to its name"),
    "gzip lines by a plain name": ("jsonl", gzip.compress(b"{}"), "Add .gz to its name"),
}


@pytest.mark.parametrize(("ending", "content", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_a_file_that_is_no_data_is_named_with_place_and_remedy(build, raw_data, ending, content, words):
    put(raw_data, f"mission_runs/day.{ending}", content)
    with pytest.raises(InputFault) as fault:
        land(build, raw_data)
    message = str(fault.value)
    assert message.startswith(f"mission_runs/day.{ending} ")
    assert words in message
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize("ending", ["json.gz", "jsonl.gz"])
def test_a_gzip_file_is_whole_and_sound_or_refused(build, raw_data, ending):
    path = put(raw_data, f"mission_runs.{ending}", runs("R1", "R2"))
    whole = path.read_bytes()
    wrong_sum = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
    for content, words in (
        (whole[:-4], "is cut short"),
        (whole[:20], "is cut short"),
        (wrong_sum, "is not a sound gzip file"),
        (b"[]", "is not a sound gzip file"),
        (b"", "is empty"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputFault, match=words):
            land(build, raw_data)
    path.write_bytes(gzip.compress(b"") + whole)  # several members are one content
    land(build, raw_data)
    assert landed(build, "mission_runs", "run_id") == ["R1", "R2"]


def test_a_file_that_cannot_be_read_is_named(build, raw_data, monkeypatch):
    put(raw_data, "mission_runs.json", runs("R1"))
    opened = type(raw_data).open

    def refused(path, *arguments):
        if path.name == "mission_runs.json":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments)

    monkeypatch.setattr(type(raw_data), "open", refused)
    with pytest.raises(InputFault, match=r"^mission_runs.json cannot be read \(Permission denied\)"):
        land(build, raw_data)


def test_several_bad_files_cost_one_new_start_and_all_land(build, raw_data):
    for day in range(3):
        put(raw_data, f"mission_runs/{day}.jsonl", json.dumps(runs(f"R{day}")[0]) + "\n{torn")
    put(raw_data, "mission_runs/9.json", runs("R9"))
    land(build, raw_data)
    assert landed(build, "mission_runs", "run_id", "run_id is not null") == ["R0", "R1", "R2", "R9"]
    assert landed(build, "mission_runs", "record", "run_id is null") == ["{torn"] * 3


def test_the_ledger_names_every_file_present(build, raw_data):
    put(raw_data, "mission_runs/a.json", runs("R1", "R2"))
    path = put(raw_data, "mission_runs/b.jsonl", "{torn\n")
    land(build, raw_data)
    ledger = build.table(LoadedFiles).sort("data_set", "file_order")
    assert ledger.height == 8
    assert ledger.filter(data_set="mission_runs").drop("data_set").rows()[1] == (
        "mission_runs/b.jsonl", 2, hashlib.sha256(path.read_bytes()).hexdigest(), 6, 1, NOW,
    )  # fmt: skip
    assert ledger.filter(data_set="mission_runs")["rows"].to_list() == [2, 1]
