"""Outputs as models write them, and the answer that they give: what they say, where, and what follows it."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.records import KINDS, Kind
from tasks.scoring import answers_equal
from tasks.scoring.extraction import find_answer, read_span

CHOICES = ("a marsh", "a tundra", "the plains", "a sea desert", "desert")

NUMBERS = [
    # grade-school solutions
    (
        "She sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs.\nShe makes 9 * 2 = $<<9*2=18>>18 every day.\nA: 18",
        "18",
    ),
    ("She makes 9 * 2 = $<<9*2=18>>18 every day.\n#### 18", "18"),
    ("She makes 9 * 2 = $<<9*2=18>>18 every day at the market.", "18"),
    ("9 * 2 = <<9*2=18>>18\nA: $18", "18"),
    ("9 * 2 = 18\nA:18", "18"),
    ("9 * 2 = 18\n\nAnswer: 18 eggs", "18"),
    ("Answer: $18.00", "18"),
    ("The answer is $18.00.", "18"),
    ("The answer is 18", "18"),
    ("The answer is: 18.", "18"),
    ("The answer is **18**.", "18"),
    ("The answer is $\\boxed{18}$.", "18"),
    ("The final answer is: $\\boxed{18}$ dollars", "18"),
    ("So the final answer is 9 * 2 = 18.", "18"),
    ("Therefore, the answer is 18 dollars per day.", "18"),
    ("Therefore the answer is therefore 18.", "18"),
    ("The answer to this question is 18.", "18"),
    ("The answer, then, is 18.", "18"),
    ("I gave 3 of 21.\nThe answer (in digits) is 18.", "18"),
    ("Therefore, the answer (in digits) is:\n\nTom has 18 left of 30.", "18"),
    ("The answer is 9 eggs times 2, which equals 18.\nTherefore, the answer (in digits) is 18.", "18"),
    # of several numbers in the last sentence, the one that was worked out
    ("$6 + $12 = $18\nShe needs $18 to buy 2 books and 3 pens.", "18"),
    ("6 times 3 equals 18. So 18 people sat in the first 4 rows.", "18"),
    ("There are 18 spiders on 3 twigs.", "18"),
    ("3 twigs hold 18 spiders.", "18"),
    ("所以一共有18只鸟", "18"),
    ("The answer would be 18.", "18"),
    ("Answer = 18", "18"),
    ("Final Answer: 18", "18"),
    ("**Final Answer**: 18", "18"),
    ("**Final Answer:** $18", "18"),
    ("**Final Answer:**\n\n18", "18"),
    ("### Final Answer\n\n18", "18"),
    ("**Answer**\n18", "18"),
    ("Answer:\n\n**18**", "18"),
    ("Ans: 18", "18"),
    ("Janet makes **$18** every day.", "18"),
    ("**18**", "18"),
    ("18.", "18"),
    ("It takes 3 bolts in total.", "3"),
    ("He has 2 + 3 = 5 apples left, so 5.", "5"),
    ("#### 1,200", "1200"),
    ("#### -5", "-5"),
    ("#### 18 dollars", "18"),
    ("####18", "18"),
    ("A: 1,200 dollars", "1200"),
    ("The answer is 16.67 ≈ 17.", "17"),
    ("The answer is twenty-three.", "23"),
    ("The answer is 5 hours and 30 minutes.", "5.5"),
    ("The answer is 5:30 PM.", "17:30"),
    ("The answer is 1/2.", "0.5"),
    ("The answer is 2 1/2 cups.", "2.5"),
    ("The answer is 25%.", "25"),
    ("The answer is 10 000.", "10000"),
    ("Each gets 1/4 of it...18", "18"),
    ("- 5 apples\n- 6 pears", "6"),
    ("16 - 3 = 13, then 13 - 4", "4"),
    # more than one statement
    ("The answer is 3. Wait, no. The correct answer is 18.", "18"),
    ("The answer is 18. That answer is correct.", "18"),
    ("The answer is not 3. The answer is 18.", "18"),
    ("I think the answer is 18. The answer is right.", "18"),
    ("We box \\boxed{17} first. Final Answer: The final answer is 18. I hope it is correct.", "18"),
    ("The answer is 17.\n\\boxed{18}", "18"),
    ("\\boxed{17}, or rather \\boxed{18}", "18"),
    ("\\boxed{18} eggs. The answer is for 2 days.", "18"),
    ("\\boxed{x = 18}", "18"),
    ("\\boxed{18\\text{ dollars}}", "18"),
    ("\\boxed{\\$18}", "18"),
    ("\\boxed{18}\\boxed{", "18"),
    # text that runs on to another question
    ("9 * 2 = 18\nA: 18\n\nQ: Tom has 3 pens and buys 4. How many?\n3 + 4 = 7\nA: 7", "18"),
    ("The answer is 18.\n\nQuestion: Tom has 3 pens.\nAnswer: 3 + 4 = 7. The answer is 7.", "18"),
    (
        "The answer is 18.\n\nQ: Tom has 3 pens. How many has he?\nA: He has 3. The answer is 3.\n\nQ: Next",
        "18",
    ),
    ("#### 18\n\nQuestion: Tom has 3 pens\n#### 3", "18"),
    ("The answer is 18.\n\n## Problem 2: Tom has 3 pens.\nThe answer is 3.", "18"),
    ("The answer is 18.<|endoftext|>Tom has 3 pens. The answer is 3.", "18"),
    ("The answer is 18.<|im_end|>\n<|im_start|>user\nThe answer is 3.", "18"),
    ("The answer is 18.\nHuman: and 3?\nThe answer is 3.", "18"),
    ("Question: How much does she make?\nShe makes 18.\nThe answer is 18.", "18"),
    ("Let me think.\n\nQuestion: How much does she make?\nAnswer: 18", "18"),
    # two numbers
    ("The answer is 3 or 4.", "3 or 4"),
    ("The answer is 3, 4.", "3, 4"),
    ("The answer is 18 dollars for 2 days.", "18"),
]

CHOSEN = [
    ("The answer is for sure D, it can't be A or B.", "D"),
    ("D. it can't be A or B", "D"),
    ("B不是 A", "B"),
    ("The answer is O.", None),
    # several are no choice, and no letter said before makes up for that
    ("It may be B.\nThe answer is (A, C).", None),
    ("It may be B.\nThe answer is most likely A, C, or D.", None),
    ("It may be B.\nThe answer is C) the plains or E) desert.", None),
    ("(A) is dry, (B) is cold. The answer is (G).", None),
    ("(A) is dry, (B) is cold. The answer is (None of the above).", None),
    # the letters of formulas, quantities and names are no choices
    ("The best is (C). The force is $B = 3$.", "C"),
    ("The best is (C), as E. coli grows at 30 D.", "C"),
    ("We choose (C) since B = 2A and 5 A flow.", "C"),
    ("We choose **B** in the end, I think.", "B"),
    ("So the answer is (B).", "B"),
    ("The answer is B", "B"),
    ("The answer is b.", "B"),
    ("The answer is: B", "B"),
    ("The answer is **B**.", "B"),
    ("The answer is **(B) a tundra**.", "B"),
    ("The answer is $\\boxed{B}$.", "B"),
    ("\\boxed{\\text{B}}", "B"),
    ("\\boxed{\\text{(B)}}", "B"),
    ("\\boxed{\\textbf{(B)}\\ a tundra}", "B"),
    ("\\boxed{B: a tundra}", "B"),
    ("The correct answer is (B) a tundra.", "B"),
    ("The correct option is B.", "B"),
    ("Answer: B. a tundra", "B"),
    ("Answer: (B)", "B"),
    ("Answer: Option B", "B"),
    ("Answer: The correct option is B.", "B"),
    ("A: B", "B"),
    ("A: (B)", "B"),
    ("#### B", "B"),
    ("B", "B"),
    ("(B)", "B"),
    ("b)", "B"),
    ("B.", "B"),
    ("B: a tundra", "B"),
    ("B - a tundra", "B"),
    ("Option B", "B"),
    ("option (b)", "B"),
    ("Choice B is right.", "B"),
    ("a tundra", "B"),
    ("A tundra.", "B"),
    ("The tundra", "B"),
    ("The answer is a tundra.", "B"),
    ("The answer is the tundra, because it is cold.", "B"),
    ("The answer is C, not A.", "C"),
    ("The answer is A because it is wet.", "A"),
    ("The answer is A", "A"),
    ("The answer is a marsh.", "A"),
    ("The answer is desert.", "E"),
    ("The answer is a sea desert.", "D"),
    ("It cannot be A, since a marsh is wet. So it must be B.", "B"),
    ("The answer is B.\n\nQ: Where is fog?\nA: The answer is A.", "B"),
    ("The answer is A or B.", None),
    ("The answer is both A and B.", None),
    ("A dry place has no fog", None),
]

FORMULAS = [
    ("We know that $(2+1)(5+1) = 18$.", "18"),
    ("The value is $\\frac{1}{3} \\approx 0.333$", "1/3"),
    ("$\\boxed{(3, 3)} \\text{ for the first and } \\boxed{(1, 1)}$", "(3,3),(1,1)"),
    ("Thus $x = \\boxed{\\frac{1}{\\sqrt{2}}}$.", "\\frac{1}{\\sqrt{2}}"),
    ("The answer is $\\frac{3}{56}$.", "\\frac{3}{56}"),
    ("The answer is \\frac{3}{56}.", "\\frac{3}{56}"),
    ("The final answer is $\\frac{3}{56}$. I hope it is correct.", "\\frac{3}{56}"),
    (
        "Final Answer: The final answer is $(3, \\frac{\\pi}{2})$. I hope it is correct.",
        "(3,\\frac{\\pi}{2})",
    ),
    ("Final Answer: The final answer is 16386.16. I hope it is correct.", "16386.16"),
    ("The answer is:\n\\[ x = 5 \\]", "x=5"),
    ("The answer is:\n\\[\nx = 5\n\\]", "5"),
    ("The answer is\n$$\nx = 5\n$$\nas we saw.", "5"),
    ("The answer is \\(5\\) cm.", "5"),
    ("The answer is $5$ or $6$.", "5, 6"),
    ("The answer is $x = 1$ and $x = 2$.", "1,2"),
    ("The volume is $V$, and the answer is: the volume $V$ is 120.", "120"),
    ("So $x = \\boxed{1}$ or $x = \\boxed{2}$.", "1,2"),
    ("$$\\boxed{(2, 2)} \\quad \\text{and} \\quad \\boxed{(6, 2)}$$", "(2,2),(6,2)"),
    ("First \\boxed{7}. No: it is \\boxed{8}.", "8"),
    ("We get $y=2$ and so $x=3$", "x=3"),
    ("\\boxed{\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}}", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"),
    ("\\boxed{\\text{(C)}}", "C"),
    ("The answer is $\\text{Evelyn}$.", "Evelyn"),
    ("The answer is Evelyn.", "\\text{Evelyn}"),
    ("The answer is p - q.", "p-q"),
    ("#### \\frac{1}{2}", "0.5"),
    ("\\boxed{4} is of no use. The final answer is $\\boxed{5}$.", "5"),
]


def final_answer(text: str, kind: Kind, choices: Sequence[str] | None) -> str | None:
    found = find_answer(text, kind, choices)
    return found.answer if found else None


@pytest.mark.parametrize(("text", "answer"), NUMBERS)
def test_the_number_that_a_text_ends_in(text: str, answer: str) -> None:
    found = final_answer(text, "number", None)
    assert found is not None
    assert answers_equal(answer, found, "number", None), found


@pytest.mark.parametrize(("text", "letter"), CHOSEN)
def test_the_choice_that_a_text_makes(text: str, letter: str | None) -> None:
    assert final_answer(text, "choice", CHOICES) == letter


@pytest.mark.parametrize(("text", "answer"), FORMULAS)
def test_the_formula_that_a_text_ends_in(text: str, answer: str) -> None:
    found = final_answer(text, "latex", None)
    assert found is not None
    assert answers_equal(answer, found, "latex", None), found


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Reason.\nThe answer is Paris.", "Paris"),
        ("Reason.\nThe answer is **Paris**.", "Paris"),
        ("Reason.\nParis", "Paris"),
        ("Reason.\nFinal answer: the Eiffel Tower", "Eiffel Tower"),
        ("The answer is (B) Paris.", "Paris"),
        ("The answer is D: Paris", "Paris"),
        ("The answer is Paris.\n\nQuestion: And of Italy?\nThe answer is Rome.", "Paris"),
    ],
)
def test_the_words_that_a_text_ends_in(text: str, answer: str) -> None:
    found = final_answer(text, "text", None)
    assert found is not None
    assert answers_equal(answer, found, "text", None), found


@pytest.mark.parametrize(("text", "kind"), [("no digits", "number"), ("", "number"), ("  \n", "text")])
def test_a_text_may_give_no_answer(text: str, kind: Kind) -> None:
    assert final_answer(text, kind, None) is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("So it is a sea.\nTherefore, the answer (Yes or No) is No.", "B"),
        ("Therefore, the answer (yes or no) is: Yes, it is.", "A"),
    ],
)
def test_what_is_asked_for_may_stand_in_brackets(text: str, letter: str) -> None:
    assert final_answer(text, "choice", ("yes", "no")) == letter


def test_a_yes_counts_though_the_reason_says_no() -> None:
    text = "So the answer is yes, since there is no law against it."
    assert final_answer(text, "choice", ("yes", "no")) == "A"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("18", "18"),
        ("\n18\n", "18"),
        ("$18", "18"),
        ("18 dollars", "18"),
        ("18 dollars for 2 days", "18"),
        ("9 * 2 = 18", "18"),
        ("John has 5 and Mary has 3, so the total is 8", "8"),
        ("The answer is 18, of 20.", "18"),
        ("\\boxed{18}", "18"),
        ("5:30 PM", "17:30"),
        ("3 or 4", "3 or 4"),
        ("twenty-three", "23"),
        ("5 hours 30 minutes", "5.5"),
        ("-5", "-5"),
    ],
)
def test_the_number_of_an_answer_span(text: str, answer: str) -> None:
    found = read_span(text, "number", None)
    assert found is not None
    assert answers_equal(answer, found.answer, "number", None), found


@pytest.mark.parametrize(
    ("text", "kind", "complete"),
    [
        ("The answer is 5", "number", False),
        ("The answer is 5.", "number", True),
        ("The answer is 5,", "number", False),
        ("The answer is 5/", "number", False),
        ("The answer is 5 eggs", "number", True),
        ("The answer is twenty", "number", False),
        ("#### 5", "number", False),
        ("#### 5\n", "number", True),
        ("\\boxed{5}", "number", True),
        ("The answer is $5$", "latex", True),
        ("The answer is 5", "latex", False),
        ("The answer is \\frac{1", "latex", False),
    ],
)
def test_a_statement_is_complete_when_its_end_is_seen(text: str, kind: Kind, complete: bool) -> None:
    found = find_answer(text, kind, None)
    assert found is not None
    assert (found.explicit, found.complete) == (True, complete)


TRICKY = st.lists(
    st.sampled_from(
        ["\\boxed{", "}", "{", "$", "The answer is ", "####", "A", "(B)", "1", ",", ".", "/", "-", "\n", "%"]
    )
)


@settings(max_examples=200)
@given(text=st.one_of(st.text(), TRICKY.map("".join)), kind=st.sampled_from(KINDS))
def test_extraction_never_raises(text: str, kind: Kind) -> None:
    answer = final_answer(text, kind, CHOICES)
    assert answer is None or (isinstance(answer, str) and answer)
