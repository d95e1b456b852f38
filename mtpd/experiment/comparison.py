"""Which models of an experiment stand beside each other, wherever all would be too many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mtpd.chains import Chain
from mtpd.experiment.runs import run_of, seed_of
from mtpd.settings.experiment import Experiment


@dataclass(frozen=True)
class Comparison:
    """Members of runs, as ``order.json`` names them; None: the experiment has none of that kind.

    Attributes:
        progressive: A chain of several teachers; where no run has one, of one teacher.
        direct: The strongest teacher of that chain alone, or else another teacher alone.
        alone: The student trained on without teacher.
        teacher: The last teacher of ``progressive``, a detector.
    """

    progressive: str | None = None
    direct: str | None = None
    alone: str | None = None
    teacher: str | None = None


def comparison(experiment: Experiment, chains: Mapping[str, Chain]) -> Comparison:
    """Choose from the runs whose chains are known, by settings and orders and never by accuracy.

    The first run with several stages is ``progressive``. Of the others those come first that have
    its epochs, then its last teacher, its method and its seed, and then the first in the YAML.
    """
    taught = {member: chain for member, chain in chains.items() if chain.last.teacher is not None}
    several = [member for member, chain in taught.items() if len(chain.stages) > 1]
    first = next(iter(several or taught), None)
    alone = [member for member in chains if member not in taught]
    if first is None:
        return Comparison(alone=next(iter(alone), None))
    closeness = _closeness(experiment, chains, first)
    single = [m for m in taught if m != first and len(taught[m].stages) == 1]
    return Comparison(
        progressive=first,
        direct=max(single, key=closeness, default=None),
        alone=max(alone, key=closeness, default=None),
        teacher=chains[first].last.teacher,
    )


def has_budget_of(experiment: Experiment, member: str, other: str) -> bool:
    """Whether a run's stage has as many epochs as all stages of another one together."""
    return run_of(experiment, member).budget == other.partition("~")[0]


def _closeness(
    experiment: Experiment, chains: Mapping[str, Chain], first: str
) -> Callable[[str], tuple[bool, ...]]:
    def of(member: str) -> tuple[bool, ...]:
        return (
            has_budget_of(experiment, member, first),
            chains[member].last.teacher == chains[first].last.teacher,
            run_of(experiment, member).method == run_of(experiment, first).method,
            seed_of(experiment, member) == seed_of(experiment, first),
        )

    return of
