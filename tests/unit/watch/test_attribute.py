"""Every file of an environment belongs to the distribution that installed it, and to no other."""

from __future__ import annotations

import json
import os
import zipfile

import pytest

from belljar.model import Event, Frame
from belljar.watch.attribute import INTERPRETER, PROGRAM, STANDARD, Attribution, same_distribution


@pytest.fixture
def site(tmp_path):
    place = tmp_path / "env/lib/python3.11/site-packages"
    place.mkdir(parents=True)
    return place


def install(site, name, version, files, record=True, **more):
    for file in files:
        path = site / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if record:
        (info / "RECORD").write_text("".join(f"{file},sha256=x,1\n" for file in files))
    for file, text in more.items():
        (info / file).write_text(text)
    return info


def of(site, file, attribution=None):
    return (attribution or Attribution()).of_file(f"{site}/{file}")


def test_a_file_belongs_to_the_distribution_whose_record_has_it(site):
    install(site, "attrs", "26.1", ["attr/__init__.py", "attrs/__init__.py"])
    install(site, "pytest", "9.2", ["_pytest/main.py", "pytest/__init__.py", "py.py"])
    assert of(site, "attr/__init__.py") == "attrs 26.1"
    assert of(site, "_pytest/main.py") == "pytest 9.2"
    assert of(site, "py.py") == "pytest 9.2"


def test_vendored_packages_are_of_who_vendored_them(site):
    install(site, "pip", "23.2", ["pip/_vendor/rich/live.py"])
    install(site, "rich", "13.0", ["rich/live.py"])
    assert of(site, "pip/_vendor/rich/live.py") == "pip 23.2"


def test_a_namespace_is_shared_file_by_file(site):
    install(site, "google-auth", "2.0", ["google/auth/a.py"])
    install(site, "google", "1.0", ["google/one.py"])
    install(site, "google-cloud", "3.0", ["google/cloud/b.py", "google/cloud/x/c.py"])
    assert of(site, "google/auth/a.py") == "google-auth 2.0"
    assert of(site, "google/cloud/b.py") == "google-cloud 3.0"
    assert of(site, "google/one.py") == "google 1.0"
    assert of(site, "google/cloud/x/made-later.py") == "google-cloud 3.0"


def test_what_nobody_claims_goes_by_its_own_name_without_a_version(site):
    install(site, "other", "1", ["other.py"])
    assert of(site, "stray/x.py") == "stray"
    assert of(site, "\x1b[31m/x.py") == PROGRAM


def test_older_ways_to_install_are_read_too(site):
    info = site / "Old_Thing-1.2-py3.11.egg-info"
    info.mkdir()
    (info / "top_level.txt").write_text("oldmodule\n")
    (info / "PKG-INFO").write_text("Name: Old.Thing\nVersion: 1.2\n")
    (site / "single-3.4.egg-info").write_text("Name: single\nVersion: 3.4\n")
    bare = site / "bare.egg-info"
    bare.mkdir()
    (bare / "PKG-INFO").write_text("Name: bare\nVersion: 5\n")
    (bare / "installed-files.txt").write_text("../bared/__init__.py\n../bare/x.py\n")
    assert of(site, "oldmodule/a.py") == "Old.Thing 1.2"
    assert of(site, "single.py") == "single 3.4"
    assert of(site, "bared/__init__.py") == "bare 5"
    assert of(site, "egg-2.0-py3.11.egg/egg/x.py") == "egg 2.0"


def test_names_in_records_with_commas_and_quotes_are_found(site):
    info = install(site, "odd", "1", [])
    (info / "RECORD").write_text('"both/a, ""b"".py",sha256=x,1\nplain/y.py,,\n')
    install(site, "even", "1", ["both/z.py"])
    assert of(site, 'both/a, "b".py') == "odd 1"


@pytest.mark.parametrize(
    "metadata",
    [
        "Name: \x1b[31mevil\nVersion: 1\n",
        "Name: other\nVersion: 9\n",
        "Name: good\nVersion: 1; rm -rf\n",
        "\x00" * 9000,
        "Body\n\nName: other\nVersion: 2\n",
    ],
)
def test_metadata_that_lies_changes_nothing(site, metadata):
    info = install(site, "good", "1.0", ["good/a.py"])
    (info / "METADATA").write_text(metadata)
    assert of(site, "good/a.py") == "good 1.0"


def test_directories_that_only_look_like_metadata_are_left_alone(site):
    for name in ("\x1b-1.dist-info", "-1.dist-info", "x y-1.dist-info", "a-1;2.dist-info"):
        (site / name).mkdir()
    install(site, "good", "1.0", ["good/a.py"])
    assert of(site, "good/a.py") == "good 1.0"


def test_what_is_no_regular_file_is_never_opened(site):
    info = install(site, "good", "1.0", ["good/a.py"], record=False)
    os.mkfifo(info / "RECORD")
    (info / "top_level.txt").symlink_to("/dev/zero")
    (info / "direct_url.json").mkdir()
    assert of(site, "good/a.py") == "good 1.0"


def test_a_huge_record_is_read_up_to_a_bound(site):
    info = install(site, "big", "1", ["big/a.py"])
    with open(info / "RECORD", "ab") as file:
        file.truncate(1 << 30)
    assert of(site, "big/a.py") == "big 1"
    assert of(site, "big/b.py") == "big 1"


def test_what_is_installed_meanwhile_is_found(site):
    attribution = Attribution()
    install(site, "one", "1", ["one.py"])
    assert of(site, "one.py", attribution) == "one 1"
    install(site, "two", "2", ["zwei/a.py"])
    os.utime(site, ns=(1, 1))
    assert of(site, "zwei/a.py", attribution) == "two 2"


def test_an_editable_install_is_known_by_where_its_source_lies(site, tmp_path):
    source = tmp_path / "work"
    (source / "src/shop").mkdir(parents=True)
    url = json.dumps({"url": f"file://{source}", "dir_info": {"editable": True}})
    install(site, "my-shop", "0.1", ["__editable___my_shop_finder.py"], **{
        "direct_url.json": url, "top_level.txt": "shop\n"})  # fmt: skip
    attribution = Attribution()
    attribution.learn(str(tmp_path / "env/bin/python"), "3.11.7")
    assert attribution.of_file(f"{source}/src/shop/a.py") == "my-shop 0.1"
    assert attribution.of_file(f"{source}/run.py") == PROGRAM
    assert attribution.of_file(f"{source}/tests/test_a.py") == PROGRAM


@pytest.mark.parametrize("text", ["[", "[]", '{"url": 1}', '{"url": "file:///", "dir_info": 3}'])
def test_a_broken_direct_url_is_no_editable_install(site, tmp_path, text):
    install(site, "x", "1", ["x.py"], **{"direct_url.json": text})
    attribution = Attribution()
    attribution.learn(str(tmp_path / "env/bin/python"), "3.11.7")
    assert attribution.of_file("/w/x/a.py") == PROGRAM


def test_a_command_belongs_to_who_installed_it(site, tmp_path):
    info = install(site, "tool", "3", ["tool/a.py"])
    with open(info / "RECORD", "a") as file:
        file.write("../../../bin/tool,sha256=x,1\n")
    attribution = Attribution()
    assert attribution.of_file(str(tmp_path / "env/bin/tool")) == "tool 3"
    assert attribution.of_file(str(tmp_path / "env/bin/mine")) == PROGRAM


def test_a_directory_that_was_installed_into_is_a_site_whatever_its_name(tmp_path):
    install(tmp_path / "libs", "good", "1.0", ["good/sub/a.py"])
    assert of(tmp_path / "libs", "good/sub/a.py") == "good 1.0"
    assert of(tmp_path / "libs", "mine.py") == PROGRAM


def test_archives_are_looked_into(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("good/a.py", "")
        archive.writestr("good-1.0.dist-info/RECORD", "good/a.py,,\n")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "pip-23.2-py3-none-any.whl").write_bytes(b"")
    assert of(tmp_path, "all.zip/good/a.py") == "good 1.0"
    assert of(tmp_path, "all.zip/__main__.py") == PROGRAM
    assert of(tmp_path, "broken.zip/x.py") == PROGRAM
    assert of(tmp_path, "pip-23.2-py3-none-any.whl/pip/x.py") == "pip 23.2"


def test_the_standard_library_is_told_by_its_place_and_its_os_module(tmp_path):
    place = tmp_path / "lib/python3.12"
    (place / "json").mkdir(parents=True)
    assert of(place, "json/a.py") == PROGRAM
    (place / "os.py").write_text("")
    assert of(place, "json/a.py") == STANDARD
    assert Attribution().of_file("/usr/lib/python312.zip/json/a.py") == STANDARD
    assert Attribution().of_file("<frozen os>") == STANDARD


@pytest.mark.parametrize(
    "path", ["<string>", "", "x.py", "/a\0b", "/" + "x" * 9000, "/proc/1/x.py"]
)
def test_anything_else_is_the_program(path):
    assert Attribution().of_file(path) == PROGRAM


def test_the_script_is_the_program_wherever_it_lies(site):
    install(site, "tool", "3", ["tool/a.py"])
    assert of(site, "tool/a.py", Attribution(f"{site}/tool/a.py")) == PROGRAM


def event(*files):
    frames = tuple(Frame(file, 1, "f") for file in files)
    return Event(1, 0, 7, 7, "open", (), stack=frames[:1], frames=frames[1:] and frames)


def whole(*files):
    return event(*files).replace(stack=())


def test_an_event_is_of_the_nearest_frame_outside_the_standard_library(site):
    install(site, "tool", "3", ["tool/a.py"])
    tool = f"{site}/tool/a.py"
    attribution = Attribution()
    assert attribution.of(event()) == INTERPRETER
    assert attribution.of(event("<frozen os>")) == STANDARD
    assert attribution.of(whole("<frozen os>", tool, "/w/job.py")) == "tool 3"
    assert attribution.of(whole("<string>", "<frozen os>", tool)) == PROGRAM
    assert attribution.of(whole("<frozen os>", "<frozen io>")) == STANDARD
    assert attribution.of(event("/w/job.py", tool)) == PROGRAM


def test_the_answer_is_the_same_with_and_without_the_whole_stack(site):
    attribution = Attribution()
    for files in (("<frozen os>", "/w/job.py"), ("<string>", f"{site}/tool/a.py"), ("/w/job.py",)):
        more = event(*files)
        assert attribution.of(more) == attribution.of(more.replace(frames=()))


def test_memory_is_bounded_however_many_files_a_program_invents():
    attribution = Attribution()
    for number in range(70_000):
        attribution.of_file(f"<{number}>")
    for number in range(400):
        attribution.of_file(f"/nowhere/{number}/site-packages/a/b.py")
    assert len(attribution._known) <= 1 << 16
    assert len(attribution._sites) <= 256


def test_a_name_is_compared_as_packaging_compares_names():
    assert same_distribution("Ruamel.YAML 0.18", "ruamel_yaml")
    assert not same_distribution("attrs 1", "attr")
