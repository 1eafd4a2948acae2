"""Points of activities bring a member up a ladder that goes by points, by the tiers' own review."""

from core.events import record
from loyalty import programs
from tests.loyalty.activities.rig import T0, World, program
from tiers.operations import review


def test_a_member_climbs_by_what_they_do(world: World) -> None:
    ladder = program().ladder.model_dump(mode="json") | {"metric": "points"}
    for tier, threshold in zip(ladder["tiers"], (0, 70, 1000), strict=True):
        tier |= {"threshold": threshold, "keep": None}
    world.publish(program(ladder=ladder), T0)
    ann = world.join(at=T0)
    world.award(ann, "insta")
    assert look(world, ann) == "insider"
    world.award(ann, "club")
    assert world.member(ann).tier_review_at == T0
    assert look(world, ann) == "advocate"


def look(world: World, member_id: int) -> str:
    """The tier after what the periodic review does."""
    with world.open() as session:
        published = programs.load(session, [world.shop_id])
        record(session, review(session, [(world.shop_id, member_id)], published, T0))
    return world.member(member_id).tier_key
