// Package wire holds the byte layouts a load-generating client needs: WebSocket frames from the client's side, HTTP
// responses, chunked bodies, and the stamp by which a message is recognised.
package wire
