"""Customer segments as the Admin API reads and writes them."""

from sandbox import segments
from sandbox.answers.area import Area, Node
from sandbox.nodes import number, paged, terms, user_error
from sandbox.payloads import gid, utc
from sandbox.segments import Segment
from sandbox.world import NotFound


class Segments(Area):
    def root(self) -> Node:
        return super().root() | {
            "segment": self.segment,
            "segments": self.segments,
            "segmentCreate": self.segment_create,
            "segmentUpdate": self.segment_update,
            "segmentDelete": self.segment_delete,
        }

    def segment(self, id: str) -> Node | None:
        found = self.found_segment(id)
        return segment_node(found) if found else None

    def found_segment(self, id: str) -> Segment | None:
        try:
            return segments.find(self.world, self.domain, number(id, "Segment") or 0)
        except NotFound:
            return None

    def segments(self, first: int = 50, after: str | None = None, query: str | None = None) -> Node:
        """Searched by `name:` (the whole name) or by a bare word in it."""
        wanted = terms(query, ("name", "id"))
        found = [one for one in segments.every(self.world, self.domain) if all(fits(one, *term) for term in wanted)]
        return paged([segment_node(one) for one in found], first, after)

    def segment_create(self, name: str, query: str) -> Node:
        now = int(self.world.clock())
        with self.world.store.transaction():
            if errors := self.segment_faults(name, query):
                return {"segment": None, "userErrors": errors}
            number = 1_340_000_000 + self.world.store.count(self.domain, "segments")
            made = Segment(number, name.strip(), query, now, now)
            segments.save(self.world, self.domain, made)
        return {"segment": segment_node(made), "userErrors": []}

    def segment_faults(self, name: str, query: str, besides: int = 0) -> list[Node]:
        if not name.strip():
            return [user_error(["name"], "Name can't be blank")]
        every = segments.every(self.world, self.domain)
        if any(one.name.lower() == name.strip().lower() and one.id != besides for one in every):
            return [user_error(["name"], "Name has already been taken")]
        try:
            segments.tests(query)
        except ValueError as error:
            return [user_error(["query"], str(error))]
        return []

    def segment_update(self, id: str, name: str | None = None, query: str | None = None) -> Node:
        with self.world.store.transaction():
            found = self.found_segment(id)
            if found is None:
                return {"segment": None, "userErrors": [user_error(["id"], "Segment does not exist")]}
            name, query = name or found.name, query or found.query
            if errors := self.segment_faults(name, query, found.id):
                return {"segment": None, "userErrors": errors}
            found.name, found.query, found.edited_at = name.strip(), query, int(self.world.clock())
            segments.save(self.world, self.domain, found)
        return {"segment": segment_node(found), "userErrors": []}

    def segment_delete(self, id: str) -> Node:
        if not self.world.store.remove(self.domain, "segment", number(id, "Segment")):
            return {"deletedSegmentId": None, "userErrors": [user_error(["id"], "Segment does not exist")]}
        return {"deletedSegmentId": id, "userErrors": []}


def fits(segment: Segment, field: str, value: str) -> bool:
    if field == "id":
        return str(segment.id) == value
    return segment.name.lower() == value if field == "name" else value in segment.name.lower()


def segment_node(segment: Segment) -> Node:
    return {
        "__typename": "Segment",
        "id": gid("Segment", segment.id),
        "name": segment.name,
        "query": segment.query,
        "creationDate": utc(segment.created_at),
        "lastEditDate": utc(segment.edited_at),
    }
