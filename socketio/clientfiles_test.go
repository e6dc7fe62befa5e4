package socketio_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/peal-dev/peal/socketio"
)

// clientDist is a dist directory of socket.io-client, as far as a server cares.
func clientDist() fstest.MapFS {
	dist := fstest.MapFS{"package.json": {Data: []byte("{}")}}
	for _, build := range []string{"socket.io", "socket.io.min", "socket.io.esm.min", "socket.io.msgpack.min"} {
		dist[build+".js"] = &fstest.MapFile{Data: []byte("/*!\n * Socket.IO v4.9.1-beta.2\n */ " + build)}
		dist[build+".js.map"] = &fstest.MapFile{Data: []byte(`{"file":"` + build + `"}`)}
	}
	return dist
}

func fetch(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestClientFiles(t *testing.T) {
	t.Parallel()
	files := clientDist()
	io := newRig(t, &socketio.Options{ClientFiles: files}, nil).io
	for name, file := range files {
		w := fetch(io, http.MethodGet, "/any/path/"+name+"?v=1")
		if name == "package.json" {
			if w.Code != http.StatusBadRequest {
				t.Errorf("%s, which is no build: %d %s", name, w.Code, w.Body)
			}
			continue
		}
		want := "text/javascript; charset=utf-8"
		if strings.HasSuffix(name, ".map") {
			want = "application/json; charset=utf-8"
		}
		h := w.Header()
		if w.Code != http.StatusOK || w.Body.String() != string(file.Data) || h.Get("Content-Type") != want {
			t.Errorf("%s: %d %q as %q", name, w.Code, w.Body, h.Get("Content-Type"))
		}
		if h.Get("ETag") != `"4.9.1-beta.2"` || h.Get("Cache-Control") != "public, max-age=0" || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s has the headers %v", name, h)
		}
		for _, tag := range []string{`"4.9.1-beta.2"`, `W/"4.9.1-beta.2"`, `"1", "4.9.1-beta.2"`, "*"} {
			if w := fetch(io, http.MethodGet, "/socket.io/"+name, "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
				t.Errorf("%s, which the browser has as %s: %d with %d bytes", name, tag, w.Code, w.Body.Len())
			}
		}
		if w := fetch(io, http.MethodGet, "/socket.io/"+name, "If-None-Match", `"4.8.4"`); w.Code != http.StatusOK {
			t.Errorf("%s, of which the browser has an older version: %d", name, w.Code)
		}
		if w := fetch(io, http.MethodHead, "/socket.io/"+name); w.Code != http.StatusOK || w.Body.Len() != 0 {
			t.Errorf("HEAD %s: %d with %d bytes", name, w.Code, w.Body.Len())
		}
		if w := fetch(io, http.MethodPost, "/socket.io/"+name); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, Allow %q", name, w.Code, w.Header().Get("Allow"))
		}
	}
}

// What a server does not have it does not mistake for a client either, and says what to do.
func TestMissingClientFiles(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]*socketio.Options{
		"none":          nil,
		"another build": {ClientFiles: fstest.MapFS{"socket.io.esm.min.js": {Data: []byte("x")}, "socket.io.min.js/directory": {}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			io := newRig(t, opts, nil).io
			for _, file := range []string{"socket.io.js", "socket.io.min.js", "socket.io.js.map"} {
				w := fetch(io, http.MethodGet, "/socket.io/"+file)
				if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "ClientFiles") || !strings.Contains(w.Body.String(), "npm") {
					t.Errorf("%s: %d %s", file, w.Code, w.Body)
				}
			}
		})
	}
	io := newRig(t, &socketio.Options{ClientFiles: fstest.MapFS{"socket.io.js": {Data: []byte("no banner")}}}, nil).io
	if w := fetch(io, http.MethodGet, "/socket.io/socket.io.js"); w.Code != http.StatusOK || w.Header().Get("ETag") != "" {
		t.Errorf("a build without version: %d, ETag %q", w.Code, w.Header().Get("ETag"))
	}
}

func ExampleOptions_clientFiles() {
	// In a program: os.DirFS("node_modules/socket.io-client/dist"), or that directory embedded.
	files := fstest.MapFS{"socket.io.min.js": {Data: []byte("/*!\n * Socket.IO v4.8.4\n */")}}
	io := socketio.NewServer(&socketio.Options{ClientFiles: files})

	w := httptest.NewRecorder() // of <script src="/socket.io/socket.io.min.js"></script>
	io.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/socket.io/socket.io.min.js", nil))
	fmt.Println(w.Code, w.Header().Get("ETag"))
	// Output: 200 "4.8.4"
}
