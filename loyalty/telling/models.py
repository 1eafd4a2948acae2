"""How far a member's events have been told."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base


class ToldMark(Base):
    """The newest event of a member that a channel (`flow`, `klaviyo`) has been told of, or had no need of."""

    __tablename__ = "told_marks"

    shop_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    channel: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    member_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    event_id: Mapped[int] = mapped_column(sa.BigInteger)
