"""What members earn beside buying: birthdays, answers, reviews, consents, gifts."""
