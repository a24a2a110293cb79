"""The prompt of a record: the one place where it is written, for training and for evaluation alike."""

from tasks.records import LETTERS, Record


def render_prompt(record: Record, *, instruction: str | None = None) -> str:
    r"""Write the prompt of a record.

    It always ends in ``Response:\n``: after a newline a response starts at a token boundary of every common
    tokenizer, so that prompt and response tokenise the same apart and together.

    Args:
        record: the question and its choices; rationale and answer are not looked at.
        instruction: a line for instruct models that says in which format to answer.

    Returns:
        The prompt as plain text, without a chat template.
    """
    lines = [f"Question: {record.question}"]
    lines += [f"{letter}. {choice}" for letter, choice in zip(LETTERS, record.choices or (), strict=False)]
    if instruction:
        lines.append(instruction)
    return "\n".join([*lines, "Response:", ""])
