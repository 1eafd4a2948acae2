"""What every tenant table gets: forced row-level security, and only the grants it needs."""

from alembic import op

APP_ROLE = "rapport_app"
# A sub-select, so that PostgreSQL evaluates the setting once per query and not once per row.
OPENED = "shop_id = ANY ((SELECT NULLIF(current_setting('rapport.shops', true), '')::bigint[])::bigint[])"


def create_app_role() -> None:
    """The role is global to the cluster: another database, or another migration at this moment, may have made it."""
    op.execute(f"""
        DO $$ BEGIN
            CREATE ROLE {APP_ROLE} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $$""")
    op.execute(f"DO $$ BEGIN EXECUTE format('GRANT {APP_ROLE} TO %I', current_user); END $$")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}")


def protect(table: str, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Row-level security by the opened shops, also for the table's owner, and the app's grants."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY opened_shops ON {table} USING ({OPENED}) WITH CHECK ({OPENED})")
    op.execute(f"GRANT {grants} ON {table} TO {APP_ROLE}")


def allow_claims(table: str) -> None:
    """The one read across shops: a worker that says which table it claims from may find and lock what is due.

    Locking needs an UPDATE policy; its check lets nothing be written.
    """
    claiming = f"((SELECT current_setting('rapport.claim', true)) = '{table}')"
    op.execute(f"CREATE POLICY claimed ON {table} FOR SELECT USING {claiming}")
    op.execute(f"CREATE POLICY claim_locks ON {table} FOR UPDATE USING {claiming} WITH CHECK (false)")


def make_append_only(table: str) -> None:
    """A ledger: nobody changes or deletes what stands in it, but for what the law asks."""
    op.execute(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change()"
    )
    op.execute(
        f"CREATE TRIGGER never_truncated BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()"
    )
