package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

// contentSecurityPolicy lets the page load only what this binary serves and connect only to the node it came from.
// Anything typed by a visitor is inserted as text; the policy is the second lock on that door.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// contentTypes are stated here because mime.TypeByExtension reads the machine's own tables, which differ.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Handler serves the playground: the page at "/", its styles and modules beside it. It expects to be mounted at the root
// of the node whose /socket.io/ and /v1/ the page talks to. Everything is served from memory, compressed where the
// browser takes that, with an ETag and revalidated on each use, so that a new binary is seen at once. Any other path is
// 404, any method but GET and HEAD is 405.
//
// The handler is safe for concurrent use.
func Handler() http.Handler { return Compress(newHandler(sub(pageFiles, "page"))) }

// Compress wraps a handler of files, so that browsers receive them compressed. It is not for streams.
func Compress(next http.Handler) http.HandlerFunc { return compression(next) }

// compression is gzip alone, which no browser lacks.
var compression = func() func(http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false))
	if err != nil {
		panic("web: " + err.Error()) // the options above contradict each other
	}
	return wrap
}()

// asset is one file, ready to be sent.
type asset struct {
	name        string
	contentType string
	etag        string // weak, because it is that of the compressed file too
	body        []byte
}

type handler struct {
	assets map[string]asset // by URL path
}

func newHandler(page fs.FS) *handler {
	h := &handler{assets: map[string]asset{}}
	h.addTree(page, "/")
	h.assets["/"] = h.assets["/index.html"]
	// A second address for the same page would be a second thing to cache.
	delete(h.assets, "/index.html")
	return h
}

func (h *handler) addTree(tree fs.FS, prefix string) {
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		body, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		h.assets[prefix+name] = asset{
			name:        path.Base(name),
			contentType: contentType(name),
			etag:        `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
			body:        body,
		}
		return nil
	})
	if err != nil {
		// The trees are embedded: they cannot fail to be read unless the program itself is broken.
		panic(fmt.Sprintf("web: reading embedded files: %v", err))
	}
}

func contentType(name string) string {
	ext := path.Ext(name)
	if t, ok := contentTypes[ext]; ok {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}

// ServeHTTP answers one request for a file of the playground.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	file, ok := h.assets[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", file.contentType)
	header.Set("ETag", file.etag)
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	// ServeContent answers If-None-Match and HEAD; the zero time keeps it from inventing a Last-Modified.
	http.ServeContent(w, r, file.name, time.Time{}, bytes.NewReader(file.body))
}
