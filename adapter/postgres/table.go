package postgres

import "context"

// The types of parameters, as PostgreSQL numbers them.
const (
	oidBytea = 17
	oidText  = 25
)

// ensure makes the table of attachments if it is not there, and prepares what puts a row into it. The table is as the
// documentation of the Node.js adapter has it, but UNLOGGED: its rows are worth nothing after a crash, which takes the
// notifications of them along.
func (c *publishing) ensure(ctx context.Context) error {
	there := c.ExecParams(ctx, "SELECT 1 WHERE pg_catalog.to_regclass($1) IS NOT NULL",
		[][]byte{[]byte(c.table)}, []uint32{oidText}, nil, nil).Read()
	if there.Err != nil {
		return there.Err
	}
	if len(there.Rows) == 0 {
		_, err := c.Exec(ctx, "CREATE UNLOGGED TABLE IF NOT EXISTS "+c.table+
			" (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)").ReadAll()
		if c := code(err); err != nil && c != tableThere && c != twice {
			return err
		}
	}
	if err := c.Deallocate(ctx, attachStatement); err != nil {
		return err
	}
	// In one statement and so in one place of the publisher's order, which the Node.js adapter does not keep.
	_, err := c.Prepare(ctx, attachStatement, "WITH attachment AS (INSERT INTO "+c.table+" (payload) VALUES ($3) RETURNING id)"+
		` SELECT pg_catalog.pg_notify($1, $2 || id::text || '"}') FROM attachment`, []uint32{oidText, oidText, oidBytea})
	c.ensured = err == nil
	return err
}
