"""The one prompt of training and evaluation."""

from tasks.prompts import render_prompt
from tasks.records import Record


def test_the_prompt_of_a_number(number_record: Record) -> None:
    assert render_prompt(number_record) == "Question: How many?\nResponse:\n"


def test_choices_have_letters(choice_record: Record) -> None:
    assert render_prompt(choice_record) == "Question: Where is fog?\nA. a marsh\nB. a desert\nResponse:\n"


def test_the_instruction_stands_before_the_response(number_record: Record) -> None:
    prompt = render_prompt(number_record, instruction="Be brief.")
    assert prompt == "Question: How many?\nBe brief.\nResponse:\n"
