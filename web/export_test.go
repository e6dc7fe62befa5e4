package web

import (
	"io/fs"
	"net/http"
)

// NewHandlerForTest makes a handler from given trees, so that tests can look at both a built and an unbuilt binary.
func NewHandlerForTest(page, dist fs.FS) http.Handler { return newHandler(page, dist) }

// PageForTest is the embedded page.
func PageForTest() fs.FS { return sub(pageFiles, "page") }
