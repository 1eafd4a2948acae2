"""Whether a referral is honest: what is seen of both sides, and what it makes of it."""
