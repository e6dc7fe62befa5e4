// Package wsproto is the server's half of the WebSocket wire (RFC 6455): frame headers, masking, and the assembly of a
// client's frames into messages. It takes and returns bytes; it does no I/O and starts no goroutine.
//
// It parses frames where they lie in the caller's read buffer and keeps memory for a connection only while a frame or a
// fragmented message is incomplete, so an idle connection costs one nil pointer.
package wsproto
