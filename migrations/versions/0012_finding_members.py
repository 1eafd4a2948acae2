"""Finding members by any word of their name, their e-mail or an order's number; and blocking them."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import protect

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Small letters without accents, split at spaces and ASCII's marks: the same under every collation a database may have.
WORDS = """
    CREATE FUNCTION search_words(said text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT coalesce(array_agg(DISTINCT left(word, 64)), '{}') FROM regexp_split_to_table(
            lower(regexp_replace(normalize(coalesce(said, ''), NFKD), U&'[\\0300-\\036F]', '', 'g')),
            '[[:space:]!-/:-@[-`{-~]+'
        ) AS word WHERE word <> ''
    $$"""
TERMS = """
    CREATE FUNCTION member_words(name text, email text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT search_words(concat_ws(' ', name, split_part(email, '@', 1))) || lower(left(email, 320))
    $$"""
# Words follow whatever writes members: orders, imports, erasure.
NOTE_NEW = """
    CREATE FUNCTION note_new_members_terms() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO member_terms (shop_id, term, member_id)
        SELECT n.shop_id, term, n.id FROM new_members n, unnest(member_words(n.name, n.email)) AS term
        WHERE term IS NOT NULL ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$"""
NOTE_CHANGED = """
    CREATE FUNCTION note_member_terms() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM member_terms WHERE shop_id = OLD.shop_id AND member_id = OLD.id
            AND term = ANY (member_words(OLD.name, OLD.email));
        INSERT INTO member_terms (shop_id, term, member_id)
        SELECT NEW.shop_id, term, NEW.id FROM unnest(member_words(NEW.name, NEW.email)) AS term
        WHERE term IS NOT NULL ON CONFLICT DO NOTHING;
        RETURN NULL;
    END $$"""


def upgrade() -> None:
    op.add_column("members", sa.Column("blocked_at", sa.DateTime(timezone=True)))
    op.add_column("orders", sa.Column("name", sa.Text(), sa.Computed("(state ->> 'name')", persisted=True)))
    op.create_index("ix_orders_name", "orders", ["shop_id", "name"], postgresql_where=sa.text("name IS NOT NULL"))
    op.create_table(
        "member_terms",
        sa.Column("shop_id", sa.BigInteger(), nullable=False),
        sa.Column("term", sa.Text(collation="C"), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "term", "member_id", name="pk_member_terms"),
    )
    for function in (WORDS, TERMS, NOTE_NEW, NOTE_CHANGED):
        op.execute(function)
    op.execute("""
        INSERT INTO member_terms (shop_id, term, member_id)
        SELECT m.shop_id, term, m.id FROM members m, unnest(member_words(m.name, m.email)) AS term
        WHERE term IS NOT NULL""")
    op.execute("""
        CREATE TRIGGER terms_of_new AFTER INSERT ON members REFERENCING NEW TABLE AS new_members
        FOR EACH STATEMENT EXECUTE FUNCTION note_new_members_terms()""")
    op.execute("""
        CREATE TRIGGER terms AFTER UPDATE OF name, email ON members FOR EACH ROW
        WHEN (OLD.name IS DISTINCT FROM NEW.name OR OLD.email IS DISTINCT FROM NEW.email)
        EXECUTE FUNCTION note_member_terms()""")
    protect("member_terms")


def downgrade() -> None:
    op.execute("DROP TRIGGER terms ON members")
    op.execute("DROP TRIGGER terms_of_new ON members")
    for function in (
        "note_member_terms()",
        "note_new_members_terms()",
        "member_words(text, text)",
        "search_words(text)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_table("member_terms")
    op.drop_index("ix_orders_name", table_name="orders")
    op.drop_column("orders", "name")
    op.drop_column("members", "blocked_at")
