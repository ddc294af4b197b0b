"""What a viewer chooses at the top of a board, and the vocabulary that asks for what was chosen."""

from collections.abc import Iterable

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from tallygate.dialects import DIALECTS
from tallygate.promql import Selector, Vocabulary

PROMETHEUS = DataSourceRef("prometheus", "${datasource}")
TEMPO = DataSourceRef("tempo", "${tempo}")
WINDOW = "$__rate_interval"
"""What rates are taken over: Grafana makes it at least four scrapes long."""
ALL = VariableOption(True, "All", "$__all")


def vocabulary(dialect: str, *filters: str, custom: Iterable[str] = ()) -> Vocabulary:
    """A dialect's families, narrowed to what is chosen in the variables of these names, each named as its label."""
    return Vocabulary(
        DIALECTS[dialect],
        window=WINDOW,
        filters={label: f"${label}" for label in ("job", *filters)},
        custom=custom,
    )


def sources() -> tuple[VariableModel, ...]:
    """Where the metrics are, and the traces that links lead to."""
    return (
        build.DatasourceVariable("datasource").label("Metrics").type("prometheus").build(),
        build.DatasourceVariable("tempo").label("Traces").type("tempo").build(),
    )


def chained(family: Selector, *labels: str) -> tuple[VariableModel, ...]:
    """The values that these labels of a family have, each among what was chosen in those before it; ``job`` first."""
    variables = []
    unfiltered = Selector(family.family, family.window, family.allowed)
    for label in ("job", *labels):
        variables.append(
            build.QueryVariable(label)
            .label(label.replace("_", " ").capitalize())
            .datasource(PROMETHEUS)
            .query(_asked(f"label_values({unfiltered.series}, {label})"))
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(ALL)
            .build()
        )
        unfiltered = unfiltered.like(**{label: f"${label}"})
    return tuple(variables)


def label_choice(name: str, label: str, help: str, family: Selector, first: str) -> VariableModel:
    """One of the labels that a family has, those that the gateway was configured with included; ``first`` at first."""
    return (
        build.QueryVariable(name)
        .label(label)
        .description(help)
        .datasource(PROMETHEUS)
        .query(_asked(f"label_names({Selector(family.family, '', family.allowed).series})"))
        .regex("/^(?!__name__$|job$|instance$).*/")
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .current(VariableOption(True, first, first))
        .build()
    )


def choice(name: str, label: str, help: str, *values: str) -> VariableModel:
    """One of some values; the first is chosen at first. Others can be typed in."""
    options = [VariableOption(value == values[0], value, value) for value in values]
    return (
        build.CustomVariable(name)
        .label(label)
        .description(help)
        .values(",".join(values))
        .options(options)
        .current(options[0])
        .build()
    )


def _asked(query: str) -> dict[str, object]:
    """A variable's query as Grafana's own editor writes it; the type in it is that of label values or label names."""
    kind = 1 if query.startswith("label_values(") else 0
    return {"qryType": kind, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"}
