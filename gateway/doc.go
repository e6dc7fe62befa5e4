// Package gateway is Peal as a server of its own: Socket.IO and Server-Sent Events for clients, an HTTP API for
// backends, and what operating a node needs. It only composes the public packages; whoever wants another composition
// can do the same.
//
// # Paths
//
//	/socket.io/       Socket.IO
//	GET  /v1/events   Server-Sent Events: ?namespace=/&room=a&room=b
//	POST /v1/publish  {"namespace":"/","rooms":["a"],"except":[],"event":"tick","args":[1]}
//	/v1/stream/       topics, see package streamhttp: PUT, POST, GET, HEAD, DELETE
//	GET  /v1/topics   the topics there are as JSON
//	GET  /v1/stats    the node's counters as JSON
//	/metrics          the same and more for Prometheus
//	/healthz          200 while the process serves requests
//	/readyz           200 while a probe of every namespace comes back through the cluster's real path
//	/                 the playground
//
// With Config.InternalListen, what is for operators in /v1/, /metrics, the reasons of /readyz and the playground are at
// that address only.
//
// Socket.IO clients have three events, each acknowledged with {"ok":true,…} or {"error":{"code","message"}}:
// subscribe (a room or a list of rooms), unsubscribe (the same) and publish (the object of POST /v1/publish).
//
// # Who may
//
// Whoever presents the API key may subscribe and publish: Socket.IO clients as auth {token: KEY}, everybody else as
// Authorization: Bearer KEY. Without it a client may what [Config] says: nothing by default. Every refusal has a code;
// docs/errors.md lists them.
package gateway
