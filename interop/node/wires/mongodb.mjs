// The official adapter and emitter over a collection of MongoDB, one whose documents are removed by their age: a capped one
// is what the server of the tests reads as a whole with each insertion. Whoever comes first makes it.
//
// What is inserted goes through one connection of its own: on several, as a client has them by default, the official adapter
// inserts at once, and what a node sends would arrive in any order. With promoteBuffers the handlers of server-side events
// get a Buffer for bytes: the official adapter turns the Binary of the driver into one for clients only.
import { createAdapter } from "@socket.io/mongo-adapter";
import { Emitter } from "@socket.io/mongo-emitter";
import { MongoClient } from "mongodb";

export const join = async (url, requestsTimeout) => {
  const clients = [new MongoClient(url, { promoteBuffers: true }), new MongoClient(url, { maxPoolSize: 1 })];
  await Promise.all(clients.map((client) => client.connect()));
  const [reading, inserting] = clients.map((client) => client.db("peal").collection("socket.io-adapter-events"));
  await reading.createIndex({ createdAt: 1 }, { expireAfterSeconds: 3600 });
  let last = Promise.resolve();
  const collection = {
    insertOne: (document) => (last = inserting.insertOne(document)),
    watch: (pipeline, options) => reading.watch(pipeline, options),
  };
  return {
    adapter: createAdapter(collection, {
      requestsTimeout,
      heartbeatInterval: 1000,
      heartbeatTimeout: 7000,
      addCreatedAtField: true,
    }),
    emitter: (namespace) => new Emitter(collection, namespace, { addCreatedAtField: true }),
    async close() {
      await last.catch(() => {}); // the official adapter does not wait for what it inserts
      await Promise.all(clients.map((client) => client.close()));
    },
  };
};
