"""Files of answers: which are kept, which never, and that no name leads elsewhere."""

from __future__ import annotations

import os

import pytest

from joyvl_server.agents import task_files
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.agents.task_files import MOST_FILES, TaskFiles
from joyvl_server.core.errors import NotFound
from joyvl_server.store.tasks import TaskFile


@pytest.fixture
def files(tmp_path):
    return TaskFiles(tmp_path / "files", 1)


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work" / "tsk_1"
    folder.mkdir(parents=True)
    return folder


def test_plain_files_are_kept_and_nothing_else(files, work, tmp_path):
    (work / "b.txt").write_text("bb")
    (work / "sub" / "deep").mkdir(parents=True)
    (work / "sub" / "deep" / "a.md").write_text("a")
    (work / ".env").write_text("secret")
    (work / ".git").mkdir()
    (work / ".git" / "config").write_text("x")
    secret = tmp_path / "secret"
    secret.write_text("of the user")
    (work / "link.txt").symlink_to(secret)
    (work / "linked").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(work / "pipe")
    (work / os.fsdecode(b"odd\xff.txt")).write_text("x")
    (work / "line\nbreak.txt").write_text("x")
    (work / "run.sh").write_text("echo")
    (work / "run.sh").chmod(0o4755)
    assert files.keep("tsk_1", work) == (TaskFile("b.txt", 2), TaskFile("run.sh", 4), TaskFile("sub/deep/a.md", 1))
    assert files.path("tsk_1", "sub/deep/a.md").read_text() == "a"
    assert files.path("tsk_1", "run.sh").stat().st_mode & 0o7777 == 0o600
    assert secret.read_text() == "of the user"


def test_pictures_that_it_was_given_are_no_files_of_its_answer(files, work):
    given = {"frame_1.jpg": b"one", "frame_2.jpg": b"two"}
    (work / "frame_1.jpg").write_bytes(b"one")
    (work / "frame_2.jpg").write_bytes(b"2wo")
    assert files.keep("tsk_1", work, given) == (TaskFile("frame_2.jpg", 3),)


def test_files_are_bounded_in_number_and_size(files, work, monkeypatch):
    monkeypatch.setattr(task_files, "LARGEST", 1000)
    for number in range(MOST_FILES + 20):
        (work / f"{number:03}").write_text("x")
    (work / "000").write_text("x" * 1001)
    kept = files.keep("tsk_1", work)
    assert len(kept) == MOST_FILES
    assert kept[0].name == "001"


def test_nothing_left_is_nothing_kept(files, work, tmp_path):
    assert files.keep("tsk_1", work) == ()
    assert files.keep("tsk_2", tmp_path / "gone") == ()
    assert not (tmp_path / "files").exists()


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "..", ".", "", "a/../../tsk_2/a.txt", "link", "sub", "gone", "nul\0", "x" * 5000],
)
def test_no_name_leads_elsewhere(files, work, tmp_path, name):
    (tmp_path / "files" / "tsk_1" / "sub").mkdir(parents=True)
    (tmp_path / "files" / "tsk_2").mkdir()
    (tmp_path / "files" / "tsk_2" / "a.txt").write_text("other")
    (tmp_path / "files" / "secret").write_text("secret")
    (tmp_path / "files" / "tsk_1" / "link").symlink_to(tmp_path / "files" / "secret")
    with pytest.raises(NotFound):
        files.path("tsk_1", name)


@pytest.mark.parametrize("task_id", ["..", "../files", "/", "", ".", "tsk_1/sub"])
def test_no_id_leads_elsewhere(files, tmp_path, task_id):
    (tmp_path / "files" / "tsk_1" / "sub").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "files", tmp_path / "files" / "tsk_1", tmp_path / "files" / "tsk_1" / "sub"):
        (place / "a.txt").write_text("x")
    with pytest.raises(NotFound):
        files.path(task_id, "a.txt")


def test_the_oldest_lose_their_files_first_and_the_newest_never(files, work):
    for number in range(1, 5):
        (work / "a.bin").write_bytes(b"x" * 400_000)
        files.keep(f"tsk_{number}", work)
    assert [n for n in range(1, 5) if (files._folder / f"tsk_{n}").exists()] == [3, 4]
    (work / "big.bin").write_bytes(b"x" * 3_000_000)
    files.keep("tsk_5", work)
    assert [path.name for path in files._folder.iterdir()] == ["tsk_5"]


def test_a_folder_whose_rights_were_taken_away_is_removed(files, work):
    inner = work / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "c.txt").write_text("x")
    for folder in (inner, work / "a", work):
        folder.chmod(0)
    files.remove_work(work)
    assert not work.exists()


def test_what_an_earlier_run_left_is_swept_and_links_are_not_followed(files, work, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep.txt").write_text("x")
    outside.chmod(0o755)
    (work / "link").symlink_to(outside, target_is_directory=True)
    files.sweep_work(work.parent)
    assert not work.exists()
    assert (outside / "keep.txt").exists()
    assert outside.stat().st_mode & 0o777 == 0o755
    files.sweep_work(tmp_path / "never")


async def test_files_of_an_answer_can_be_had_and_the_folder_is_gone(make):
    t = await make()
    task = await t.queue.submit(TaskDraft("Q"))
    run = await t.run()
    (run.folder / "table.csv").write_text("a,b")
    run.finishes()
    done = await t.reaches(task.id, "completed")
    assert done.files == (TaskFile("table.csv", 3),)
    assert t.files.path(task.id, "table.csv").read_text() == "a,b"
