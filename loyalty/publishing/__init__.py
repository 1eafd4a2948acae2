"""From an idea to a program in force: drafts, what is wrong with them, what they would change, and publishing."""
