"""Outputs as models really write them, by the classes that scorers misjudge."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.records import Kind
from tasks.scoring import Item, Score, score
from tasks.tags import get_tag_format

ABC = ("a marsh", "a tundra", "the plains", "a desert")
ROOTS = (
    "$2\\sqrt{3}$",
    "$\\sqrt{3}-2$",
    "$2-\\sqrt{3}$",
    "$\\frac{x}{y}$",
    "$\\frac{y}{x}$",
    "$x^2+1$",
    "$-5$",
    "$5$",
)
YES_NO = ("yes", "no")


def scored(
    output: str, gold: str, kind: Kind, choices: Sequence[str] | None = None, tags: str = "none"
) -> Score:
    return score(Item(output, gold, kind, choices, get_tag_format(tags)))


def spanned(answer: str) -> str:
    return f"<Thinking>some steps</Thinking><Answer>{answer}</Answer>"


@pytest.mark.parametrize(
    ("output", "letter"),
    [
        # operators count, and equal formulas are equal
        ("\\boxed{2-\\sqrt{3}}", "C"),
        ("\\boxed{-2+\\sqrt3}", "B"),
        ("\\boxed{\\sqrt{12}}", "A"),
        ("\\boxed{y/x}", "E"),
        ("\\boxed{x/y}", "D"),
        ("\\boxed{1+x^2}", "F"),
        ("\\boxed{x^2-1}", None),
        ("\\boxed{-5}", "G"),
        ("\\boxed{5}", "H"),
        ("\\boxed{\\sqrt{3}+2}", None),
    ],
)
def test_formulas_of_choices_are_compared_as_formulas(output: str, letter: str | None) -> None:
    right = [each for each in "ABCDEFGH" if scored(output, each, "choice", ROOTS, "boxed").accuracy]
    assert right == ([letter] if letter else [])


@pytest.mark.parametrize(
    ("output", "letter"),
    [
        ("It cannot be A. I choose C</s>", "C"),
        ("I would say D<|im_end|>", "D"),
        ("So it must be C<br/>", "C"),
        ("A 和 B 都不对，所以选C。", "C"),
        ("经过分析，正确答案为：D", "D"),
        ("综上所述，答案是 B。", "B"),
        ("A项错误，B项错误，本题选D项", "D"),
        ("正解はCです。答えはC", "C"),
        ("정답은 B입니다", "B"),
        ("Ответ: D", "D"),
        ("La respuesta es C.", "C"),
        ("La réponse est (B).", "B"),
        ("Die Antwort ist D.", "D"),
        ("الجواب هو C", "C"),
        ("【答案】: A, D", None),
        ("The answer is A and C.", None),
        ("The answer is B/C.", None),
        ("At first the answer is A.\nAction: Finish[D]", "D"),
        ('Thought: the answer is C.\nsubmit("B")', "B"),
        ("Final choice: C", "C"),
        ("The correct option is not listed. I had thought of a desert.", None),
        ("There is no correct answer here, since a marsh is wet.", None),
        ("I am unable to determine whether B or C is right.", None),
        ("None of the above.", None),
        ("Let D be the set of dry places. The answer is C.", "C"),
        ("a desert? No, the answer is a tundra", "B"),
        ("\\boxed{F = ma}\nSo the answer is (D).", "D"),
        ("C\n\nQuestion: Where do polar bears live?\nAnswer:", "C"),
        ("B\n\n### Instruction:\nName a desert.\n### Response:\nD", "B"),
    ],
)
def test_a_choice_is_found_or_there_is_none(output: str, letter: str | None) -> None:
    right = [each for each in "ABCD" if scored(output, each, "choice", ABC).accuracy]
    assert right == ([letter] if letter else [])


@pytest.mark.parametrize(
    ("choices", "output", "letter"),
    [
        (YES_NO, "There is no clear answer to that.", None),
        (("5", "10", "25", "50"), "He ate 5/10 of it.", None),
        (("5", "10", "25", "50"), "He ate 25 of them.", "C"),
        (("1/4", "0.6", "2", "Not enough information"), "The answer is 0.25", "A"),
        (("1/4", "0.6", "2", "Not enough information"), "There is not enough information.", "D"),
        (("1500", "2500", "None of these"), "The answer is 2,500", "B"),
        (("1500", "2500", "None of these"), "None of these", "C"),
        (("p", "q", "p + q"), "\\boxed{\\frac{p}{3}}", None),
        (("Catch-22", "Moby Dick"), "At the end Bob has Catch-22.", "A"),
        (("05/01/2021", "01/05/2021"), "The date is 05/01/2021.", "A"),
    ],
)
def test_choices_of_other_kinds(choices: tuple[str, ...], output: str, letter: str | None) -> None:
    right = [each for each in "ABCD"[: len(choices)] if scored(output, each, "choice", choices).accuracy]
    assert right == ([letter] if letter else [])


@pytest.mark.parametrize(
    ("output", "number"),
    [
        ("The answer is 12. She bought 4 x 6 = 24 before.", "12"),
        ("The answer is 7, because 3 + 4 = 7 and not 8.", "7"),
        ("The answer is 40 rather than 8 * 6 = 48.", "40"),
        ("So the rate is 9/45 = 20%.", "20"),
        ("Answer: 5 * 8 = 40 pages\n40 - 12 = 28 pages\nShe reads 28 pages.", "28"),
        ("y = 12\nSince Tom has 12 cards, Lea has twice that, or 24 cards.", "24"),
        ("2 + 3 = 5\nHence the number of boys older than 5 is 9.", "9"),
        ("In all 34 children ride on bus no. 7.", "34"),
        ("There are 6 numbers that are divisible by 4.", "6"),
        ("There are 15 pupils taller than 150.", "15"),
        ("她一共有 ４５ 个", "45"),
        ("उत्तर है ४२", "42"),
        ("উত্তর: ৪২", "42"),
        ("คำตอบคือ ๔๒", "42"),
        ("الجواب هو ۱۲۳", "123"),
        ("答案是一百二十三", "123"),
        ("答案：两千零五", "2005"),
        ("答案为三点五", "3.5"),
        ("答案是3万5千", "35000"),
        ("答案是百分之二十", "20%"),
        ("The answer is ₹ 1,23,456.", "123456"),
        ("The answer is 5 lakh.", "500000"),
        ("I was not able to solve problem 12.", None),
        ("The question does not tell how old f(3) is.", None),
        ("17\n\nQuestion: Max has 4 dogs. How many legs?\nAnswer: 16", "17"),
        ("La respuesta es 18.", "18"),
        ("答案不是 5。答案是 6", "6"),
    ],
)
def test_a_number_is_found_or_there_is_none(output: str, number: str | None) -> None:
    found = scored(output, number or "12", "number")
    assert found.accuracy == (number is not None), found.extracted
    assert number is not None or found.extracted is None


@pytest.mark.parametrize("mention", ["I could not answer question 12.", "12 is not given, I cannot tell"])
def test_a_number_that_is_mentioned_is_no_answer(mention: str) -> None:
    assert not scored(spanned(mention), "12", "number", tags="thinking-answer").accuracy


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("3 1/2", "3.5", True),
        ("3 1/2", "\\frac{7}{2}", True),
        ("3 1/2", "15.5", False),
        ("30 km/h", "30", True),
        ("8 cm^2", "8", True),
        ("2*pi", "2\\pi", True),
        ("3pi/4", "\\frac{3\\pi}{4}", True),
        ("sqrt(2)/2", "\\frac{\\sqrt{2}}{2}", True),
        ("1 - sqrt(7)", "1-\\sqrt{7}", True),
        ("g(t)=2t-1", "y=2t-1", True),
        ("x=5", "y=5", False),
        ("17:30", "5:30 \\text{ PM}", True),
        ("5:30", "17:45", False),
        ("twenty-one", "21", True),
        ("twelve", "21", False),
        ("C^2", "C", False),
        ("B \\cap C", "B", False),
        ("\\textbf{(C)}\\ 40", "C", True),
        ("\\textbf{(C)}\\ 40", "40", True),
        ("\\textbf{(C)}\\ 40", "41", False),
        ("\\textbf{(C)}\\ 40", "(D)", False),
        ("The area is 7", "7", True),
        ("Look at step 7 of the proof", "7", False),
        ("\\frac{1}{100!}", "\\frac{1}{99!}", False),
        ("\\frac{1}{100 \\cdot 99!}", "\\frac{1}{100!}", True),
        ("3 \\cdot 10^{-12}", "2 \\cdot 10^{-12}", False),
        ("2,4,6,\\ldots,2n", "1,2,3,\\ldots,n", False),
    ],
)
def test_forms_of_latex(answer: str, gold: str, right: bool) -> None:
    assert scored(spanned(answer), gold, "latex", tags="thinking-answer").accuracy == right


@pytest.mark.parametrize(
    ("output", "gold"),
    [
        ("The answer is Rome. It is the capital.", "Rome"),
        ("The answer is St. Louis. It lies in Missouri.", "St. Louis"),
        ("Final answer: Who is the tallest?\nMira", "Mira"),
    ],
)
def test_a_statement_says_its_answer_first(output: str, gold: str) -> None:
    assert scored(output, gold, "text").accuracy


def field_outputs() -> list[dict[str, object]]:
    path = Path(__file__).parents[4] / "shared" / "data" / "conformance" / "field.jsonl"
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    )


@pytest.mark.parametrize("line", field_outputs() or [None], ids=lambda line: line["id"] if line else "absent")
def test_the_judged_outputs_of_the_data_folder(line: dict[str, object] | None) -> None:
    if line is None:
        pytest.skip("no shared/data beside the checkout")
    choices = tuple(line["choices"]) if line["choices"] else None
    found = scored(line["output"], line["gold"], line["kind"], choices, line["tags"])
    assert found.accuracy == bool(line["correct"]), found.extracted


@pytest.mark.parametrize(
    ("output", "gold"),
    [
        # a premise that is said again after the result
        ("The total is 6 * 7 = 42. This is more than 40, the required minimum.", "42"),
        ("So 12 + 18 = 30. That is fewer than the 35 of last year.", "30"),
        ("4 x 3 = 12. 12 plus 6 is 18. Bill is now on the 18th floor.", "18"),
        ("She needs more than 40.", "40"),
        # what is known comes first after "Answer:", and is worked with
        ("Answer: Tom has 3 apples. He buys 12 more. 3 + 12 = 15.", "15"),
        ("Answer: 18 dollars. She sells 9 eggs at 2 each, and 9 * 2 = 18.", "18"),
        # an aside about the result
        ("The number of apples is 16, which is 4 more than 12.", "16"),
    ],
)
def test_the_number_that_is_meant_is_found_among_others(output: str, gold: str) -> None:
    assert scored(output, gold, "number").accuracy


@pytest.mark.parametrize(
    ("output", "gold", "right"),
    [
        ("See part 7 of the notes.", "7", False),
        ("The area is 7.", "7", True),
        ("C*2", "C", False),
        ("A \\cup C", "C", False),
        ("2C", "C", False),
        ("**C**", "C", True),
        ("C - since all others are negative", "C", True),
    ],
)
def test_a_mention_or_a_letter_in_a_formula_is_no_answer_in_latex(
    output: str, gold: str, right: bool
) -> None:
    assert scored(output, gold, "latex").accuracy is right


def test_a_question_that_is_said_again_is_no_part_of_a_text() -> None:
    assert scored("What is the capital of France? Paris", "Paris", "text").accuracy
