"""`harness train-and-eval` and `harness train`: the plan as a person reads it, then the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.commands.options import DATA, TRAINING, DryRun, Given, configured
from harness.progress import Reporter, console
from tasks.shown import neutral

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from harness.plan import Plan
    from sftkey_train.stages import StageNode


_CLAIMED = ("claim", "until_decided", "max_seeds")


@configured(
    *TRAINING, "budgets", *_CLAIMED, "engine", *DATA, "limit", "exact", "judge", "out", "setting", "quick"
)
def train_and_eval(given: Given, dry_run: DryRun = False) -> None:
    """Train the variants, evaluate them all, and write the leaderboard."""
    import harness.run as run

    plan = _planned(given)
    if not dry_run and (made := run.train_and_eval(plan, Reporter())):
        made.show(console())


@configured(*TRAINING, "claim", *DATA, "limit", "out", "setting", "quick")
def train(given: Given, dry_run: DryRun = False) -> None:
    """Train the variants and print where the checkpoints are."""
    import harness.run as run

    plan = _planned(given)
    if not dry_run and run.train(plan, Reporter()):
        for (name, seed), chain in plan.graph.chains.items():
            print(neutral(f"{name} seed {seed}: {plan.stage_dir / chain[-1]}"))


def _planned(given: Given) -> Plan:
    """The resolved plan, printed: data, the graph of stages, the evaluations."""
    from rich.text import Text

    from harness.plan import make_plan

    plan, screen = make_plan(given.config()), console()
    screen.print(Text(_summary(plan)), soft_wrap=True)
    for seed in plan.seeds:
        screen.print(_stage_tree(plan, seed))
    screen.print(Text(_evaluations(plan)), soft_wrap=True)
    return plan


def _summary(plan: Plan) -> str:
    config = plan.config
    data = ", ".join(f"{name} {count:,}" for name, count in plan.records.counts.items())
    todo = [node for node in plan.graph.nodes.values() if not plan.is_trained(node.key)]
    lines = [
        f"base      {plan.base.name}",
        f"variants  {', '.join(variant.name for variant in plan.variants)} × {len(plan.seeds)} seeds, "
        f"{config.train.method} fine-tuning",
        f"training  {data} records",
    ]
    if dated := next(iter(plan.paths.values())).dated:
        lines.append(f"prompts   the chat template writes the date: {dated}, on every day (prompt_date)")
    if smaller := config.smaller():
        lines.append(
            f"budgets   {', '.join(one.out.name for one in smaller)} of it first, each a run of its own"
        )
    if config.claims:
        until = f"; seeds are added until it is decided, up to {config.max_seeds}"
        lines.append(f"claims    {'; '.join(config.claims)}{until if config.until_decided else ''}")
    for tags, corpus in plan.corpora.items():
        parts = ", ".join(f"{name} {count:,}" for name, count in corpus.tokens_by_segment().items())
        notes = [f"{count} {reason}" for reason, count in corpus.dropped.items()]
        if corpus.num_straddling:
            notes.append(f"{corpus.num_straddling} tokens across segments")
        noted = f"; {', '.join(notes)}" if notes else ""
        lines.append(f"  tags {tags}: {len(corpus.ids_N):,} tokens ({parts}){noted}")
    lines.append(
        f"stages    {len(plan.graph.nodes)} distinct, {len(todo)} to train: "
        f"{sum(node.num_steps for node in todo):,} steps, "
        f"{sum(node.tokens_forward for node in todo):,} tokens"
    )
    return "\n".join(map(neutral, lines))


def _stage_tree(plan: Plan, seed: int) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text(neutral(f"seed {seed}: {plan.base.name}")))
    branches: dict[str | None, Tree] = {None: root}
    for node in plan.graph.nodes.values():
        if node.seed == seed:
            branches[node.key] = branches[node.parent].add(_describe(plan, node))
    return root


def _describe(plan: Plan, node: StageNode) -> Text:
    from rich.text import Text

    todo = "to draw" if node.draws else "to train"
    state = ("in the store", "green") if plan.is_trained(node.key) else todo
    whose = ", ".join(node.variants) + (" (shared)" if len(node.variants) > 1 else "")
    if node.draws:
        drawn = node.num_questions * dict(node.stage.options)["samples"]
        said = (
            f"{node.stage.name}: {drawn:,.0f} responses to {node.num_questions:,} training questions, about "
        )
        return Text.assemble(neutral(f"{said}{node.tokens_forward:,} tokens; "), state)
    tokens = f"{node.tokens_forward:,} tokens, {node.tokens_loss:,} with loss"
    if node.data:
        tokens = f"about {node.tokens_forward:,} tokens of its samples"
    elif node.num_questions:
        tokens = f"about {node.tokens_forward:,} tokens of its own responses"
    said = (
        f"{node.stage.name} for {whose or 'reference'}{_objective(plan, node)}: {node.num_steps} steps, "
        f"{tokens}, lr {node.learning_rate:g}; "
    )
    return Text.assemble(neutral(said), state)


def _objective(plan: Plan, node: StageNode) -> str:
    """The objective where it is not the usual one, with its options and reference model."""
    from sftkey_train.stages import BASE

    if node.stage.objective == "cross-entropy":
        return ""
    details = [f"{name} {value:g}" for name, value in node.stage.options]
    details += [f"reward {weight:g} × {name}" for name, weight in node.stage.rewards]
    if node.reference is not None:
        details.append("reference " + ("base" if node.reference == BASE else "plain SFT"))
    return f" by {node.stage.objective}" + (f" ({', '.join(details)})" if details else "")


def _evaluations(plan: Plan) -> str:
    config = plan.config
    names = ", ".join(benchmark.name for benchmark in plan.benchmarks)
    limit = f", at most {config.limit} samples each" if config.limit else ""
    budgets = sorted({config.eval.max_new_tokens or one.max_new_tokens for one in plan.benchmarks})
    return (
        f"evaluate  {len(plan.graph.chains) + 1} checkpoints (with the untrained base) on {names}{limit}\n"
        f"          {plan.engine}, at most {' or '.join(map(str, budgets))} new tokens\n"
        f"out       {neutral(config.out)}, store {neutral(config.store_dir)}"
    )
