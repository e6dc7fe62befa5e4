// Package netconn is the connection core: a connection taken over from net/http, with a bounded outbound queue and no
// goroutine or buffer of its own while it is idle.
//
// A [Conn] is driven in one of two ways behind the same type. On Linux a plain TCP connection is watched by an event
// poller: its bytes are read into the poller's buffer and written by whoever has something to send, without blocking.
// Any other connection (TLS, another system) has a goroutine that reads, and one that writes while bytes wait.
//
// Outbound bytes are slices that callers share between connections and never change. Everything that waits for one
// connection leaves in one system call.
package netconn
