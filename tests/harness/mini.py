"""The recipe of a base model of one layer, which every engine runs and which is built in seconds."""

from sftkey_train.embedded import Recipe

MINI = Recipe(
    num_number=160,
    num_choice=160,
    num_markup=16,
    width=64,
    num_layers=1,
    num_heads=2,
    context=512,
    batch_size=32,
)
