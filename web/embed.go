package web

import (
	"embed"
	"io/fs"
)

//go:embed page
var pageFiles embed.FS

// dist holds nothing but a marker file in a fresh clone; "all:" embeds that too, so that the package always compiles.
//
//go:embed all:dist
var distFiles embed.FS

// sub returns the part of an embedded tree that lies below dir, which the embed directives above guarantee to exist.
func sub(files embed.FS, dir string) fs.FS {
	tree, err := fs.Sub(files, dir)
	if err != nil {
		panic("web: " + err.Error())
	}
	return tree
}

// ClientFiles returns the browser builds of the official Socket.IO client, for socketio.Options.ClientFiles. It is empty
// unless [HasClient].
func ClientFiles() fs.FS { return sub(distFiles, "dist") }

// HasClient reports whether the official client was built into this binary.
func HasClient() bool {
	_, err := fs.Stat(ClientFiles(), "socket.io.js")
	return err == nil
}
