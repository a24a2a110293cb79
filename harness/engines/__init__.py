"""What turns prompts into text: one interface, several engines."""
