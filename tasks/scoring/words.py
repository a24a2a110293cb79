"""Plain-text normalisation shared by choices and free-text answers."""

import re
import string
import unicodedata

_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}‘’“”–—…]")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|boxed|fbox)\s*\{([^{}]*)\}")


def normalise_words(text: str) -> str:
    """Lower the case, drop punctuation and articles, join whitespace: SQuAD's rule (arXiv 1606.05250).

    A text that consists of nothing but punctuation or articles keeps its words, so that it can still be told
    from another one.

    Args:
        text: any text.

    Returns:
        The normalised text, words joined by single spaces.
    """
    lowered = unicodedata.normalize("NFKC", text).lower()
    bare = " ".join(_PUNCTUATION.sub(" ", lowered).split())
    return " ".join(_ARTICLES.sub(" ", bare).split()) or bare or " ".join(lowered.split())


def strip_markup(text: str) -> str:
    r"""Take off what models put around a short answer: ``**B**``, ``$B$``, ``\text{B}``, quotes, backticks.

    Args:
        text: a short answer.

    Returns:
        The answer without the wrapping, stripped.
    """
    for _ in range(3):
        text = _WRAPPER.sub(r"\1", text)
    text = re.sub(r"\*\*|__|`", "", text).strip()
    return text.strip('$"“”*').removeprefix("\\(").removesuffix("\\)").strip()
