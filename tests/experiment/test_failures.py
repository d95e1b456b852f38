"""What failed by our own word is told again at once, and tried again when that may help."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtpd.errors import DivergedError, MachineError, UserError
from mtpd.experiment.failures import Failures
from mtpd.launch import LAUNCHED, SAID, launch, say_failed
from mtpd.settings.runtime import RUN

WRONG = UserError("a.yaml: data", "is wrong", "mend it")
DIVERGED = DivergedError("epoch 1", "has diverged", "lower the rate")


@pytest.fixture
def failures(tmp_path: Path) -> Failures:
    return Failures(tmp_path / "failures")


def test_retries_of_one_run_fail_alike(failures: Failures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN, "first")
    failures.note("identity", WRONG)
    failures.check("another")
    with pytest.raises(UserError, match=r"^a.yaml: data: is wrong \(as at .*\); mend it$"):
        failures.check("identity")
    monkeypatch.setenv(RUN, "second")
    failures.check("identity")  # a library may have been installed meanwhile


def test_a_step_by_hand_is_always_tried(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(RUN, raising=False)
    failures.note("identity", WRONG)
    failures.check("identity")


def test_another_machine_may_do(failures: Failures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN, "first")
    failures.note("key", MachineError("driver", "does not answer", "mend it"))
    failures.check("key")


def test_a_training_that_diverged_does_so_again(
    failures: Failures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN, "first")
    failures.note("identity", DIVERGED)
    monkeypatch.setenv(RUN, "second")
    with pytest.raises(DivergedError, match="lower the rate"):
        failures.check("identity")
    failures.forget("identity")
    failures.check("identity")


@pytest.mark.parametrize("error", [WRONG, DIVERGED], ids=["wrong", "diverged"])
def test_one_of_several_processes_says_what_failed(
    error: UserError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchrun tells its caller the exit status alone."""

    class Torchrun:
        def __init__(self, *_: object, env: dict[str, str], **__: object) -> None:
            self._said = env[SAID]

        def wait(self) -> int:
            with pytest.MonkeyPatch.context() as rank:
                rank.setenv(LAUNCHED, "1")
                rank.setenv(SAID, self._said)
                assert say_failed(error)
            return 1

    monkeypatch.setattr("mtpd.launch.subprocess.Popen", Torchrun)
    monkeypatch.setattr("mtpd.launch._hand_signals_on", lambda _: [])
    with pytest.raises(type(error)) as raised:
        launch(2, ["train"])
    assert str(raised.value) == str(error)


def test_a_process_alone_says_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LAUNCHED, raising=False)
    assert not say_failed(WRONG)
