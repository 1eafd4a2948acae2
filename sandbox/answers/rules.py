"""Rules of the checkout as the Admin API reads and writes them."""

from typing import Any

from sandbox import rules
from sandbox.answers.area import Area, Node
from sandbox.nodes import connection, number, user_error
from sandbox.rules import Rule


class Rules(Area):
    def root(self) -> Node:
        return super().root() | {
            "validations": lambda first=25, after=None: connection(
                [rule_node(one) for one in rules.every(self.world, self.domain)][:first]
            ),
            "validationCreate": self.validation_create,
            "validationDelete": self.validation_delete,
        }

    def validation_create(self, validation: dict[str, Any]) -> Node:
        handle, known = validation.get("functionHandle"), rules.every(self.world, self.domain)
        if handle not in rules.FUNCTIONS:
            text = f"Function {handle} not found. Ensure that it is released in the current app."
            return {"validation": None, "userErrors": [user_error(["functionHandle"], text, "NOT_FOUND")]}
        if len(known) >= rules.MOST:
            text = f"Only {rules.MOST} validations can be active."
            return {"validation": None, "userErrors": [user_error([], text, "MAX_VALIDATIONS_ACTIVATED")]}
        made = Rule(
            620_000_000 + max((one.id - 620_000_000 for one in known), default=0) + 1,
            validation.get("title") or handle, handle, bool(validation.get("enable")),
        )  # fmt: skip
        self.world.store.put(self.domain, "rule", made.id, made)
        return {"validation": rule_node(made), "userErrors": []}

    def validation_delete(self, id: str) -> Node:
        key = number(id, "Validation")
        if not key or not self.world.store.exists(self.domain, "rule", key):
            return {"deletedId": None, "userErrors": [user_error(["id"], "Validation not found.", "NOT_FOUND")]}
        self.world.store.remove(self.domain, "rule", key)
        return {"deletedId": id, "userErrors": []}


def rule_node(rule: Rule) -> Node:
    return {"id": rule.node_id(), "title": rule.title, "enabled": rule.enabled, "blockOnFailure": False}
