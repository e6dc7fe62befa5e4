// Package front stands before an http.Server and serves requests for WebSockets itself, without what net/http spends on
// each connection. It accepts connections, reads what has arrived with them, and leaves all that is not a whole and
// usual request for a WebSocket to the http.Server, on a net.Conn of the same descriptor.
package front
