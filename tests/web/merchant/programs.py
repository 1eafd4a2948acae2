"""A program that says everything a program can say, and ways to say things oddly."""

from typing import Any

LIMIT = {"points_per_day": 500, "points_ever": 9000, "times_per_day": 2, "times_ever": 40}
RULE = {
    "tiers": ["advocate"], "starts_at": "2026-11-27T09:00:00+01:00", "ends_at": "2027-01-01T00:00:00+01:00",
    "limit": LIMIT,
}  # fmt: skip
CODE = {"minimum_order": 4050, "valid_days": 60}
ACTIVITIES: list[dict[str, Any]] = [
    {"key": "birthday", "kind": "birthday", "points": 100, "days_before": 14},
    {"key": "years", "kind": "anniversary", "points": 100},
    {"key": "taste", "kind": "question", "points": 20, "question": "Espresso, or filter?",
     "choices": ["Espresso", "Filter, black", "Beides & mehr"]},
    {"key": "letter", "kind": "newsletter", "points": 10},
    {"key": "texts", "kind": "sms", "points": 10},
    {"key": "follow", "kind": "social", "points": 5, "network": "Insta \"gram\"", "action": "share",
     "url": "https://example.com/?a=1&b=2"},
    {"key": "review", "kind": "review", "points": 25, "photo_points": 15},
    {"key": "club", "kind": "community", "points": 25, "url": "https://example.com/club"},
    {"key": "nps", "kind": "nps", "points": 25, "every_days": 120},
    {"key": "cupping", "kind": "custom", "points": 250, "description": "First line\nand\n\nanother"},
]  # fmt: skip
REWARDS: list[dict[str, Any]] = [
    {"key": "10-off", "kind": "amount_off", "amount": 1050, "combines_with": ["shipping", "order"]},
    {"key": "15-percent", "kind": "percentage", "percentage": "15.5", "maximum": 5000},
    {"key": "post", "kind": "free_shipping"},
    {"key": "mug", "kind": "free_product", "amount": 1800, "products": [8072401, 2**62], "variants": [12]},
    {"key": "credit", "kind": "store_credit", "amount": 500},
    {"key": "card", "kind": "gift_card", "amount": 500},
    {"key": "any", "kind": "variable", "cost": 200, "step": 100, "most_points": 5000, "amount": 100},
    {"key": "seat", "kind": "custom", "cost": 3000},
]  # fmt: skip
RICH: dict[str, Any] = {
    "name": "  North & “Pier” <Rewards>",
    "timezone": "Europe/Berlin",
    "stacking": "stack",
    "clawback": "clamp",
    "reward_refunds": "keep",
    "orders": {
        "key": "beans", "points_per_unit": "1.2500", "include_tax": True, "include_shipping": True,
        "available": "fulfilled", "waiting_days": 14, **RULE,
    },
    "joining": {"key": "hello", "points": 75, "starts_at": "2026-01-01"},
    "bonuses": [
        {"key": "weekend", "name": "Weekend", "multiplier": "2.5", "vendors": ["Smith, Sons & Co", "Pier"],
         "tags": ["beans", "new in"], "products": ["8072401"], "variants": [1, 2], "collections": [3],
         "minimum_spend": 2550, "order_number": 3, "channel": "pos", **RULE},
        {"key": "new", "name": "First", "points": 100, "per": "item", "order_number": 1},
    ],
    "activities": [{"name": f"Doing {one['key']}", **RULE, **one} for one in ACTIVITIES],
    "ladder": {
        "metric": "eligible_spend", "period": "calendar_year", "window_days": 300, "grace_days": 30,
        "demotion": "one_step",
        "tiers": [
            {"key": "insider", "name": "Insider", "threshold": 0},
            {"key": "advocate", "name": "Advocate", "threshold": 50050, "keep": 40000, "multiplier": "1.25",
             "perks": ["tastings", "early-access", "free-shipping"], "entry_gift": 100, "birthday_boost": "2"},
        ],
    },
    "rewards": [
        {"name": f"A {one['key']}", "cost": 1000, "description": "Two\nlines", "minimum_order": 2000, "valid_days": 90,
         "tiers": ["advocate"], "stock": 0, "per_member": 3, "channel": "online", "starts_at": "2026-11-27T09:00",
         "ends_at": "2026-12-27T09:00:30", **one}
        for one in REWARDS
    ],
    "referral": {
        "enabled": False,
        "friend": {"kind": "percentage", "percentage": "15", **CODE},
        "friend_minimum": 4000,
        "referrer": {"kind": "commission", "percentage": "7.5"},
        "tiers": [{"tier": "advocate", "referrer": {"kind": "amount_off", "amount": 1500, **CODE}}],
        "milestones": [
            {"friends": 5, "benefit": {"kind": "store_credit", "amount": 2500}},
            {"friends": 10, "benefit": {"kind": "points", "points": 700}},
        ],
        "holding_days": 14, "window_days": 60, "monthly_limit": 10, "clawback": False, "review_score": 30,
        "block_score": 70, "minimum_payout": 5000,
        "partnerships": [
            {"key": "creators", "name": "Creators", "kind": "affiliate", "friend": {"kind": "free_shipping"},
             "friend_minimum": 3000, "referrer": {"kind": "commission", "amount": 300}, "every_order": True,
             "landing_title": "Coffee worth filming", "landing_text": "Line one\nline two"},
        ],
    },
    "expiry": {"kind": "lot", "months": 12, "notice_days": 60},
}  # fmt: skip
# Drafts are kept whatever they say: nothing of them may be lost by looking at them.
ODD: list[dict[str, Any]] = [
    {},
    {"name": "A", "ladder": {"tiers": []}, "expiry": None},
    {"name": None, "ladder": 5, "rewards": "none", "orders": [], "referral": {"milestones": [1, None, {}]}},
    {"name": "A\nB", "extra": {"kept": True}, "ladder": {"tiers": ["insider", {"key": "insider"}, {"key": "insider"}]}},
    {"rewards": [
        {"key": "+", "name": "Plus", "kind": "unheard", "cost": "free", "tiers": "all", "combines_with": ["a b"]},
        {"key": "a.b", "name": 7, "kind": ["list"], "percentage": 12.5, "amount": "1,0", "starts_at": "soon"},
        {"kind": "percentage", "amount": 5, "step": 7},
    ]},
    {"timezone": "Mars", "stacking": "most", "orders": {"points_per_unit": 1, "include_tax": "yes", "tiers": ["gone"],
                                                        "limit": {"points_ever": None, "hours": 3}}},
    {"bonuses": [{"key": "b", "points": 5, "multiplier": "2", "vendors": ["a\nb"], "ends_at": "9999-12-31T23:59-23:00"}
    ],
     "activities": [{"key": "a", "kind": "question"}, {"key": "a", "kind": "social", "points": -1}]},
    {"expiry": {"kind": "lot", "months": 3, "days": 40}, "joining": {"points": None}, "clawback": None},
]  # fmt: skip
