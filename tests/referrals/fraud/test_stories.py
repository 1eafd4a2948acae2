"""Every fraud is caught or waits for a person, no genuine friend is refused: the forty stories, end to end."""

from collections import Counter

from tests.referrals.fraud.rig import Stage
from tests.referrals.stories import FRAUD, GENUINE, STORIES

HEAD = f"{'story':<58} {'label':<8} {'':<5} {'score':>5}  {'outcome':<7} reasons"


def test_there_are_forty_stories_of_both_kinds() -> None:
    assert len({story.name for story in STORIES}) == 40
    assert Counter(story.label for story in STORIES) == {"genuine": 20, "fraud": 20}
    assert (len(GENUINE), len(FRAUD)) == (20, 20)


def test_the_stories(stage: Stage) -> None:
    told, wrong = [HEAD], []
    outcomes = Counter[tuple[str, str]]()
    for story in STORIES:
        stage.clear()
        _, verdict = stage.judge(story)
        outcomes[story.label, verdict.outcome] += 1
        why = ", ".join(f"{reason.key} {reason.points}" for reason in verdict.reasons) or "-"
        hard = "hard" if story.hard else ""
        told.append(f"{story.name:<58} {story.label:<8} {hard:<5} {verdict.score:>5}  {verdict.outcome:<7} {why}")
        bad = "block" if story.label == "genuine" else "clear"
        wrong += [told[-1]] if verdict.outcome == bad else []
    told += [f"{label}: {outcome} {number}" for (label, outcome), number in sorted(outcomes.items())]
    print("\n" + "\n".join(told))
    assert wrong == []
