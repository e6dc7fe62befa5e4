// The official emitter over PostgreSQL, driven line by line (see lines.mjs) with the commands of node-server.mjs.
//
//	node postgres-emitter.mjs URL
//
// It has one connection: on more, what it publishes arrives in any order.
import { Emitter } from "@socket.io/postgres-emitter";
import pg from "pg";
import { say, serve } from "./lines.mjs";

const pool = new pg.Pool({ connectionString: process.argv[2], max: 1 });
pool.on("error", (error) => say({ state: "broker error", detail: error.message }));

// Its of() forgets the options, and wants the name as it is.
const select = ({ namespace, rooms = [], except = [], volatile }) => {
  const to = new Emitter(pool, namespace).to(rooms).except(except);
  return volatile ? to.volatile : to;
};

serve(
  {
    emit(params) {
      select(params).emit(params.event, ...(params.args ?? []));
    },
    socketsJoin(params) {
      select(params).socketsJoin(params.change);
    },
    socketsLeave(params) {
      select(params).socketsLeave(params.change);
    },
    disconnectSockets(params) {
      select(params).disconnectSockets(params.close ?? false);
    },
    serverSideEmit({ namespace, event, args = [] }) {
      new Emitter(pool, namespace).serverSideEmit(event, ...args);
    },
  },
  {},
  () => pool.end(),
);
