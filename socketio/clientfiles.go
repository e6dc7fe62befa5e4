package socketio

import (
	"io"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"sync"
)

// clientBuilds are the browser builds of the npm package socket.io-client, by name without ".js".
var clientBuilds = []string{"socket.io", "socket.io.min", "socket.io.esm.min", "socket.io.msgpack.min"}

// clientFileTypes are the Content-Types of the files that a server of Node.js has below its path: each build and its
// source map.
var clientFileTypes = func() map[string]string {
	types := make(map[string]string)
	for _, build := range clientBuilds {
		types[build+".js"] = "text/javascript; charset=utf-8"
		types[build+".js.map"] = "application/json; charset=utf-8"
	}
	return types
}()

// noClientFile tells the reader of a page that did not load what to do.
const noClientFile = `This server does not have the browser client of Socket.IO. Take it from npm (socket.io-client) or from a CDN, or
build it in: "make build" does that for the peal binary, socketio.Options.ClientFiles for a program of your own.
`

// clientFiles serves the builds in files, or says that there are none.
type clientFiles struct {
	files   fs.FS // nil if there are none
	version func() string
}

func newClientFiles(files fs.FS) *clientFiles {
	return &clientFiles{files: files, version: sync.OnceValue(func() string { return clientVersion(files) })}
}

// serve answers a request for one of the builds, whatever the path before its name, and leaves all others alone.
func (c *clientFiles) serve(w http.ResponseWriter, r *http.Request) bool {
	// Most requests are no such thing, and this is all they pay.
	if p := r.URL.Path; len(p) == 0 || p[len(p)-1] != 's' && p[len(p)-1] != 'p' {
		return false
	}
	name := path.Base(r.URL.Path)
	contentType, ok := clientFileTypes[name]
	if !ok {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this path takes GET, HEAD", http.StatusMethodNotAllowed)
		return true
	}
	if !c.has(name) {
		http.Error(w, noClientFile, http.StatusNotFound)
		return true
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "public, max-age=0")
	header.Set("X-Content-Type-Options", "nosniff")
	// A module of another origin needs it, and there is nothing private in a library.
	if header.Get("Access-Control-Allow-Origin") == "" {
		header.Set("Access-Control-Allow-Origin", "*")
	}
	if version := c.version(); version != "" {
		header.Set("ETag", `"`+version+`"`)
	}
	http.ServeFileFS(w, r, c.files, name)
	return true
}

func (c *clientFiles) has(name string) bool {
	if c.files == nil {
		return false
	}
	info, err := fs.Stat(c.files, name)
	return err == nil && info.Mode().IsRegular()
}

// banner is the beginning of every build.
var banner = regexp.MustCompile(`\bSocket\.IO v([0-9][0-9A-Za-z.+-]*)`)

// clientVersion returns the version that the builds say they have, or "".
func clientVersion(files fs.FS) string {
	for _, build := range clientBuilds {
		file, err := files.Open(build + ".js")
		if err != nil {
			continue
		}
		head, err := io.ReadAll(io.LimitReader(file, 512))
		_ = file.Close() // it was only read
		if match := banner.FindSubmatch(head); err == nil && match != nil {
			return string(match[1])
		}
	}
	return ""
}
