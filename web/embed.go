package web

import (
	"embed"
	"io/fs"
)

// clientFile is the build output without which the page cannot talk Socket.IO. The page imports it under this name.
const clientFile = "socket.io.esm.min.js"

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
