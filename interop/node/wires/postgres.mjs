// The official adapter over PostgreSQL.
//
// It has two connections, one of which receives. With the ten that a pool has by default, it would publish on nine of them
// at once, and what a node sends would arrive in any order.
//
// The official emitter is not here: the official adapter does not hear it, for its messages lack a namespace (see
// postgres-emitter.mjs for Go nodes, which do).
import { createAdapter } from "@socket.io/postgres-adapter";
import pg from "pg";
import { say } from "../lines.mjs";

export const join = async (connectionString) => {
  const pool = new pg.Pool({ connectionString, max: 2 });
  pool.on("error", (error) => say({ state: "broker error", detail: error.message }));
  await pool.query(
    "CREATE TABLE IF NOT EXISTS socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea)",
  );
  return {
    adapter: createAdapter(pool, {
      heartbeatInterval: 1000,
      heartbeatTimeout: 7000,
      errorHandler: (error) => say({ state: "adapter error", detail: error.message }),
    }),
    close: () => pool.end(),
  };
};
