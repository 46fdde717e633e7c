"""A layer of a pair as Dagster asks for it: what the catalogue says of it, and the step that makes one or several layers.

Belongs here: what is the same for every kind of layer. Does not: what a kind says and does (its own module beside this one).

Steps are made of `OpDefinition` and `AssetsDefinition`, as Dagster advises for those that a program makes: its decorators read
the signature and the annotations of each function a dozen times, and a hundred pairs have some five hundred steps. They take
a third of the time so.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of steps

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from market_platform.defs.names import asset_path, group_name, identifier
from market_platform.defs.policies import Policies
from market_platform.defs.resources import refuse_another_database
from market_platform.domain.pairs import TradingPair

OWNERS = ["team:market-data"]

Results = Iterator[dg.MaterializeResult[None]]
Work = Callable[[dg.AssetExecutionContext], Results]
"""What a step does: a result for each selected layer, in the order of their dependencies."""


def layer_key(pair: TradingPair, layer: str) -> dg.AssetKey:
    """Key of a layer: `dukascopy/EURUSD/ticks`."""
    return dg.AssetKey(asset_path(pair, layer))


def layer_spec(
    pair: TradingPair,
    layer: str,
    partitions: dg.PartitionsDefinition[str],
    *,
    deps: Sequence[dg.AssetKey | dg.AssetDep],
    storage: str,
    schema: dg.TableSchema,
    description: str,
    table: str | None = None,
    freshness: dg.FreshnessPolicy | None = None,
    code_version: str | None = None,
    skippable: bool = False,
) -> dg.AssetSpec:
    """What the catalogue says of a layer.

    `storage` is `parquet`, or `postgres` with the public table or view that is easiest read; `schema` its columns.
    """
    metadata: dict[str, object] = {"dagster/column_schema": schema}
    if table is not None:
        metadata["dagster/table_name"] = f"public.{table}"
    return dg.AssetSpec(
        key=layer_key(pair, layer),
        deps=deps,
        partitions_def=partitions,
        skippable=skippable,
        code_version=code_version,
        group_name=group_name(pair),
        kinds={storage},
        owners=OWNERS,
        freshness_policy=freshness,
        tags={"exchange": pair.exchange, "symbol": pair.symbol, "layer": layer},
        metadata=metadata,
        description=description,
    )


@dataclass(frozen=True)
class Step:
    """What makes layers: a step may need a resource, ask an exchange in its pool, and judge what it made by checks.

    Without a name it is called as its one layer; with one, it makes whichever of its layers are selected, in one pass.
    """

    specs: Sequence[dg.AssetSpec]
    work: Work
    resource: str
    checks: Sequence[dg.AssetCheckSpec] = ()
    pool: str | None = None
    name: str | None = None
    description: str | None = None
    op_tags: Mapping[str, str] = field(default_factory=dict)
    config: type[dg.Config] | None = None

    def as_assets(self, policies: Policies) -> dg.AssetsDefinition:
        """The layers as assets, any number of partitions a run."""
        upstream = {identifier(*key.path): key for key in _upstream(self.specs)}
        made = {spec.key.to_python_identifier(): spec.key for spec in self.specs}
        checked = {spec.get_python_identifier(): spec for spec in self.checks}
        out = _SELECTED if self.name else _ALWAYS

        def step(context: dg.AssetExecutionContext, _inputs: object) -> Results:
            refuse_another_database(context, self.resource)
            yield from self.work(context)

        op = dg.OpDefinition(
            step,
            name=self.name or self.specs[0].key.to_python_identifier(),
            ins=dict.fromkeys(upstream, _IN),
            outs=dict.fromkeys((*made, *checked), out),
            description=self.description or self.specs[0].description,
            required_resource_keys={self.resource},
            tags=self.op_tags,
            config_schema=self.config.to_config_schema() if self.config else None,
            retry_policy=policies.retry,
            pool=self.pool,
        )
        return dg.AssetsDefinition(
            keys_by_input_name=upstream,
            keys_by_output_name=made,
            node_def=op,
            specs=self.specs,
            check_specs_by_output_name=checked,
            can_subset=self.name is not None,
            backfill_policy=policies.backfill,
        )


_IN = dg.In(dg.Nothing)
_ALWAYS = dg.Out(dg.Nothing)
_SELECTED = dg.Out(dg.Nothing, is_required=False)


def _upstream(specs: Sequence[dg.AssetSpec]) -> Iterator[dg.AssetKey]:
    """Whatever a layer depends on, also what the same step makes: a run may select one without the other."""
    return (dep.asset_key for spec in specs for dep in spec.deps)
