// Package cluster lets any node of a cluster serve any request: a session lives on one node, and the others pass its
// requests on to that one, so that a load balancer in front needs no sticky sessions.
//
// A session's id begins with the id of the node it lives on. The nodes tell each other, by the same
// driver as their messages, where they can be reached and how much they have to do: [Node.Nodes] is who is there. Polling requests are passed on as HTTP requests, and WebSockets by a relay that costs no goroutine. [Node] has
// what an [engineio.Options] needs for it:
//
//	node, err := cluster.Join(cluster.Options{Driver: driver, Advertise: "10.0.0.7:8080"})
//	server := engineio.NewServer(handler, &engineio.Options{GenerateID: node.SessionID, Elsewhere: node.Forward})
//	mux.Handle("/engine.io/", node.Handler(server))
//
// Nodes reach each other over a network that is theirs, or by TLS, on both sides if need be: [Options].TLS.
package cluster
