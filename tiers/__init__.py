"""The ladder Insider, Advocate, Ambassador: what a member's spend qualifies for, now and at any past moment."""
