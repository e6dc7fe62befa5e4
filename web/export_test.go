package web

import "io/fs"

// PageForTest is the embedded page.
func PageForTest() fs.FS { return sub(pageFiles, "page") }
