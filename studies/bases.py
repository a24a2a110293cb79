"""Make the embedded base models again: tiny Llamas, pre-trained on text of the generated world.

    python -m studies bases [--seeds 0,1]

Half of the text is in tags and half is not, so that neither is foreign to the base. In a third of the
problems the players' numbers do not change, in the others once or twice, and the answer's tokens weigh more
than the others do: so the last operation is learned with the steps that lead there, not long after them.
While a base is trained it is tested on validation problems: how often the whole reasoning is right, and how
often the answer is, after the reference's reasoning. The curve is printed, and stands beside the weights.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from sftkey_train.embedded import BASES, EMBEDDED
from tasks.records import Record, render_prompt
from tasks.tags import get_tag_format, render_response
from tasks.world.generate import GAPS, KINDS, LENGTHS, load, problem, random_pair, split_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

RECORDS = 92_000
NUMBERS = 0.6
"""Share of the problems that want a number, which is harder to learn than a choice."""
UNCHANGED, ONE_CHANGE = 0.35, 0.35
"""Shares without and with one change of each player's number; the others have one or two."""
LONG = 0.3
"""Share with long rationales."""
ANSWER_WEIGHT = 16.0
VOCABULARY, CONTEXT = 512, 1024
WIDTH, LAYERS, HEADS = 96, 4, 3
"""vLLM's CPU kernels want at least 32 dimensions in each head."""
LEARNING_RATE, BATCH_SIZE = 1.5e-3, 8
LOOKS = 12
CELLS = tuple(product(KINDS, GAPS))
UNTAGGED, TAGGED = get_tag_format("none"), get_tag_format("thinking-answer")


def main(arguments: list[str]) -> None:
    """Makes the bases one after another; what is there already is replaced."""
    parser = argparse.ArgumentParser(prog="python -m studies bases", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1])
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--out", type=Path, default=BASES)
    parser.add_argument("--tables", action="store_true", help="print the curves of those that are there")
    told = parser.parse_args(arguments)
    for seed in told.seeds:
        folder = told.out / EMBEDDED[seed]
        if not told.tables:
            make_base(folder, seed, told.records)
        print(f"\n`{folder.name}`\n\n{curve_table(folder)}")


def make_base(folder: Path, seed: int, num_records: int) -> None:
    """Pre-trains one base and saves it; prints its curve."""
    import torch

    from sftkey_train.corpus import join
    from sftkey_train.segments import LOSS_PRESETS, by_segment
    from sftkey_train.settings import TrainSettings
    from sftkey_train.spans import encode
    from sftkey_train.stages import build_graph
    from sftkey_train.text import TextPath
    from sftkey_train.trainer import train_stage
    from sftkey_train.variants import Stage, Variant

    torch.set_num_threads(1)
    tokenizer = train_tokenizer()
    path = TextPath.of(tokenizer, "plain")
    records = list(pretraining_records(num_records, seed))
    half = len(records) // 2
    corpus = join(
        [encode(records[:half], UNTAGGED, path, CONTEXT), encode(records[half:], TAGGED, path, CONTEXT)]
    )
    every = max(1, len(records) // BATCH_SIZE // LOOKS)
    settings = TrainSettings(
        learning_rate=LEARNING_RATE, budget="epochs", epochs=1, batch_size=BATCH_SIZE, warmup_epochs=0.02,
        max_length=CONTEXT, save_minutes=float("inf"), validate_every=every,
    )  # fmt: skip
    stage = Stage(
        "base", by_segment(LOSS_PRESETS["response"]), "answer-weighted", (("weight", ANSWER_WEIGHT),)
    )
    variant = Variant("base", "", "", False, (stage,))
    [node] = build_graph([variant], [seed], settings, "", {"both": corpus}, {"base": "both"}).nodes.values()
    model = new_model(tokenizer, seed)
    print(f"base of seed {seed}: {sum(weights.numel() for weights in model.parameters()):,} weights, "
          f"{node.num_steps:,} steps, {node.tokens_forward:,} tokens")  # fmt: skip

    curve: list[dict[str, object]] = []

    def look(model: torch.nn.Module) -> Mapping[str, float]:
        found = {f"{kind} gap {gap}": accuracies(model, tokenizer, kind, gap) for kind, gap in CELLS}
        curve.append({"step": min(node.num_steps, every * (len(curve) + 1)), **found})
        print(curve[-1], flush=True)
        return {}

    with tempfile.TemporaryDirectory() as scratch:
        train_stage(model, corpus, node, lambda line: None, scratch=Path(scratch), probe=look)
    # Rounded to bfloat16, the file compresses to half; in float32, every reader of models reads it.
    model = model.to(torch.bfloat16).float()
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "curve.json").write_text("\n".join(map(json.dumps, curve)) + "\n")
    print(f"wrote {folder}")


def curve_table(folder: Path) -> str:
    """The curve beside a base's weights, as a Markdown table: reasoning right / answer right, in percent."""
    lines = [json.loads(line) for line in (folder / "curve.json").read_text().splitlines()]
    rows = [list(lines[0]), ["---:"] * len(lines[0])]
    for line in lines:
        step, *found = line.values()
        rows.append([str(step), *(f"{reasoning:.0f} / {answer:.0f}" for reasoning, answer in found)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def pretraining_records(size: int, seed: int) -> Iterator[Record]:
    """Text of train problems alone, graded."""
    rng = random.Random(f"base/{seed}")
    for i in range(size):
        kind, gap = KINDS[rng.random() > NUMBERS], rng.choice(GAPS)
        level = rng.random()
        if level < UNCHANGED + ONE_CHANGE:
            changes = (0, 0) if level < UNCHANGED else (1, 1)
        else:
            changes = (rng.randint(1, 2), rng.randint(1, 2))
        while split_of(*(chains := random_pair(rng, changes, kind, gap))) != "train":
            pass
        yield problem(rng, chains, f"problem-{i}", kind=kind, gap=gap, long=rng.random() < LONG)


def accuracies(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    kind: str,
    gap: int,
    size: int = 200,
) -> tuple[float, float]:
    """Percent of greedy reasoning that is the reference's, and of greedy answers after the reference's.

    Told from one forward pass: what is greedy at each place of the reference, after the reference so far.
    With short rationales, since a base that has read both lengths cannot know which one is wanted.
    """
    import torch

    right = [0, 0]
    for record in load("validation", kind=kind, gap=gap, size=size):
        prompt, response = render_prompt(record), render_response(record, TAGGED).text
        ends = [
            response.index("<Thinking>") + 10,
            response.index("</Thinking>"),
            response.index("<Answer>") + 8,
        ]
        begins, closes, answers = (len(tokenizer(prompt + response[:end])["input_ids"]) for end in ends)
        ids = tokenizer(prompt + response, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            greedy = model(input_ids=ids).logits[0].argmax(-1)
        same = greedy[:-1] == ids[0, 1:]
        right[0] += bool(same[begins - 1 : closes].all())  # up to the sign that closes the reasoning
        right[1] += bool(same[answers - 1])
    return 100 * right[0] / size, 100 * right[1] / size


def new_model(tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """A Llama with random weights, the same each time."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    set_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config)


def train_tokenizer() -> PreTrainedTokenizerBase:
    """Byte-level BPE over words, numbers and signs, which reads any text but is short on the world's.

    A space belongs to the word or sign beside it, so that a number is one token wherever it stands.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    texts = [
        render_prompt(record) + render_response(record, tags).text
        for (kind, gap), length, tags in product(CELLS, LENGTHS, (UNTAGGED, TAGGED))
        for record in load("train", kind=kind, gap=gap, rationale=length, size=1000)
    ]
    texts += [record.rationale or "" for record in pretraining_records(1000, 0)]
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r" ?\p{L}+ ?|\p{N}{1,2}|\n| ?[^\s\p{L}\p{N}] ?|\s+")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(words, "isolated"), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
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
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
