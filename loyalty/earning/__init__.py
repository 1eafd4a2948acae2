"""What orders earn: the rules, and how much of their limits members have used."""
