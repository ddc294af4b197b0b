"""Which of a model's deployments is asked: the most urgent that are in service, by their weights."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from tallygate.gateway.failover.deployments import Deployment


class Place:
    """A deployment among those of a model."""

    __slots__ = ("credit", "deployment", "priority", "weight")

    def __init__(self, deployment: Deployment, weight: int = 1, priority: int = 1) -> None:
        self.deployment, self.weight, self.priority = deployment, weight, priority
        self.credit = 0
        """What it has earned of its turns; see ``Target.pick``."""


class Target:
    """A model as the callers of one kind of API may have it: its deployments, and the models to fall back to."""

    __slots__ = ("fallbacks", "has_choice", "name", "places")

    def __init__(self, name: str, places: Sequence[Place]) -> None:
        """name: as configured."""
        self.name = name
        self.places = sorted(places, key=lambda place: place.priority)
        self.fallbacks: tuple[Target, ...] = ()
        """In the order in which they are asked, those of fallbacks included."""
        self.has_choice = len(places) > 1
        """Whether more than one deployment can answer."""

    def fall_back_to(self, targets: Sequence[Target]) -> None:
        """Ask these when no deployment of its own can serve."""
        self.fallbacks = tuple(targets)
        self.has_choice = len(self.places) > 1 or bool(targets)

    @property
    def all_deployments(self) -> list[Deployment]:
        """Whoever may answer: its own, and those of its fallbacks."""
        return [place.deployment for target in (self, *self.fallbacks) for place in target.places]

    def first(self, clock: Callable[[], float]) -> Deployment:
        """Whose turn it is; when none is in service, the first, which the dispatch will look at again."""
        if len(self.places) == 1:
            return self.places[0].deployment
        return self.pick(clock()) or self.places[0].deployment

    def pick(self, now: float, without: Container[Deployment] = ()) -> Deployment | None:
        """Whose turn it is among those of the lowest priority number that has one in service; None when there is none.

        Smooth weighted round robin, as nginx has it: with weights 5, 1 and 1 the order is a a b a c a a.
        """
        chosen: Place | None = None
        total = 0
        for place in self.places:
            if chosen is not None and place.priority != chosen.priority:
                break
            deployment = place.deployment
            if deployment in without or (deployment.troubled and not deployment.in_service(now)):
                continue
            place.credit += place.weight
            total += place.weight
            if chosen is None or place.credit > chosen.credit:
                chosen = place
        if chosen is None:
            return None
        chosen.credit -= total
        return chosen.deployment

    def soonest_rested(self, now: float, without: Container[Deployment] = ()) -> Deployment | None:
        """Of those that only rest, the one that rests no longer than the others."""
        resting = [
            place.deployment
            for place in self.places
            if place.deployment not in without and not place.deployment.is_out(now)
        ]
        return min(resting, key=lambda deployment: deployment.cooling_until, default=None)
