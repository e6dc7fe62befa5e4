//go:build !unix

package postgres

import "net"

// quiet cannot be told here: what is published behind the server's goodbye fails.
func quiet(net.Conn) bool { return true }
