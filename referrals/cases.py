"""A referral about to be judged: who is said to have brought whom, and by which order."""

from datetime import datetime

from msgspec import Struct


class Case(Struct, frozen=True):
    """What the checks are asked about. `referral_id` is None until the referral is first written.

    `friend` and `email_index` are keyed hashes or `m<member id>`; `email_index` is None where no address is known.
    `customer_id`s are Shopify's, None for guests and for people who were erased. `first_only` is false where every
    order of a partner's friends counts, so that the friend need not be new.
    """

    shop_id: int
    order_id: int
    at: datetime
    friend: str
    friend_member_id: int | None
    friend_customer_id: int | None
    email_index: str | None
    referrer_member_id: int | None
    referrer_customer_id: int | None
    partner_id: int | None
    code_key: str
    claim_id: int | None
    via: str
    first_only: bool = True
    referral_id: int | None = None
