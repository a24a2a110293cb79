"""The embedded base model: a tiny Llama pre-trained on the generated world, built on first use and cached.

It is pre-trained until it is neither hopeless nor perfect, so that variants can be told apart. Same recipe,
same weights (on one kind of machine); the recipe's digest is the name it is cached under.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from sftkey_train.settings import TrainSettings
from sftkey_train.stages import TRAINER_VERSION, build_graph
from sftkey_train.stored import save_stage
from sftkey_train.variants import load_variant
from tasks.records import Record, records_digest, render_prompt
from tasks.seals import kept, whole_folder
from tasks.tags import get_tag_format, render_response
from tasks.world.generate import WORLD_VERSION, load, markup_drill

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from sftkey_train.stored import StepMetrics

SEED = 20251221


@dataclass(frozen=True)
class Recipe:
    """All that decides the embedded base model's weights.

    Attributes:
        num_number: Pre-training problems whose answer is a number.
        num_choice: Pre-training problems whose answer is a letter.
        num_markup: Pre-training items that put one thing between markup.
        vocabulary_size: Tokens of the byte-level BPE tokenizer, at most.
        width: Hidden size.
        num_layers: Transformer layers.
        num_heads: Attention heads; vLLM's CPU kernels want at least 32 dimensions in each.
        context: Longest sequence, in tokens.
        stop_below: Pre-training ends when the loss on the reasoning, over forty steps, is below this. The
            jump from hopeless to perfect is sudden, and where it comes is luck, so it is watched for.
        learning_rate: Peak learning rate of pre-training.
        batch_size: Sequences per step.
    """

    num_number: int = 12000
    num_choice: int = 12000
    num_markup: int = 4000
    vocabulary_size: int = 512
    width: int = 64
    num_layers: int = 4
    num_heads: int = 2
    context: int = 1024
    stop_below: float = 0.15
    learning_rate: float = 3e-3
    batch_size: int = 16


RECIPE = Recipe()


def recipe_digest(recipe: Recipe = RECIPE) -> str:
    """The name of the model that a recipe builds: 16 hex digits."""
    content = {
        **asdict(recipe),
        "made_by": [platform.machine(), *map(importlib.metadata.version, ("torch", "transformers"))],
        "trainer": TRAINER_VERSION,
        "world": WORLD_VERSION,
        "seed": SEED,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def pretraining_records(recipe: Recipe = RECIPE) -> list[Record]:
    """The world's untagged text, from train chains only, in the order of one pass."""
    records = [*_world(recipe.num_number, recipe.num_choice), *markup_drill(recipe.num_markup, SEED)]
    random.Random(SEED).shuffle(records)
    return records


def _world(num_number: int, num_choice: int) -> Iterator[Record]:
    for benchmark, size in (("number", num_number), ("choice", num_choice)):
        yield from load("train", benchmark=benchmark, size=size, seed=SEED)


def embedded_tokenizer(cache: Path, recipe: Recipe = RECIPE) -> Path:
    """Folder of the tokenizer, trained on the world's text where the cache lacks it."""
    directory = cache / "tokenizer" / recipe_digest(recipe)

    def make() -> None:
        with whole_folder(directory) as folder:
            _train_tokenizer(recipe).save_pretrained(folder)

    return kept(directory, make, "the embedded tokenizer")


def build_embedded_base(cache: Path, on_step: Callable[[StepMetrics], None], recipe: Recipe = RECIPE) -> Path:
    """Folder of the base model, pre-trained into the cache where that lacks it.

    Args:
        cache: The cache folder.
        on_step: Called with every line of the metrics history.
        recipe: What to build.
    """
    directory = cache / "base" / recipe_digest(recipe)
    return kept(directory, lambda: _pretrain(directory, cache, on_step, recipe), "the embedded base model")


def _pretrain(directory: Path, cache: Path, on_step: Callable[[StepMetrics], None], recipe: Recipe) -> None:
    from sftkey_train.spans import encode
    from sftkey_train.text import TextPath, load_tokenizer
    from sftkey_train.trainer import train_stage

    tokenizer = load_tokenizer(str(embedded_tokenizer(cache, recipe)))
    records = pretraining_records(recipe)
    corpus = encode(records, get_tag_format("none"), TextPath.of(tokenizer, "plain"), recipe.context)
    settings = TrainSettings(
        learning_rate=recipe.learning_rate,
        epochs=1.0,
        batch_size=recipe.batch_size,
        warmup_epochs=0.03,
        schedule="constant_with_warmup",
        max_length=recipe.context,
        log_every=10,
        save_minutes=float("inf"),
    )
    graph = build_graph(
        [load_variant("sft")], [SEED], settings, recipe_digest(recipe), {"none": corpus}, {"sft": "none"}
    )
    [node] = graph.nodes.values()
    model = _new_model(tokenizer, recipe)

    def learned_enough(history: Sequence[StepMetrics]) -> bool:
        recent = [metrics.loss_thinking for metrics in history[-4:]]
        return len(recent) == 4 and sum(recent) / 4 < recipe.stop_below

    with tempfile.TemporaryDirectory() as scratch:
        result = train_stage(model, corpus, node, on_step, scratch=Path(scratch), stop_when=learned_enough)
    manifest = {"recipe": asdict(recipe), "seed": SEED, "data_digest": records_digest(records)}
    save_stage(model, tokenizer, directory, manifest, result.history)


def _new_model(tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> PreTrainedModel:
    """A Llama with random weights, the same each time."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    set_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            intermediate_size=2 * recipe.width,
            num_hidden_layers=recipe.num_layers,
            num_attention_heads=recipe.num_heads,
            num_key_value_heads=recipe.num_heads,
            max_position_embeddings=recipe.context,
            tie_word_embeddings=False,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _train_tokenizer(recipe: Recipe) -> PreTrainedTokenizerBase:
    """Byte-level BPE over words, numbers and signs, which reads any text but is short on the world's."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    # With tagged text too, so that the tags are made of words it knows.
    formats = [get_tag_format("none"), get_tag_format("thinking-answer")]
    pairs = product(_world(2000, 2000), formats)
    texts = [render_prompt(record) + render_response(record, tag_format).text for record, tag_format in pairs]
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r" ?\p{L}+|\p{N}{1,2}|\n| ?[^\s\p{L}\p{N}]|\s+")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(words, "isolated"), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>", "</s>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        model_max_length=recipe.context,
        clean_up_tokenization_spaces=False,
    )
