"""The rival's side: TRL's SFTTrainer, in an environment of its own that `environment` makes."""
