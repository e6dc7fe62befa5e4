package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/peal-dev/peal/web"
)

func ExampleHandler() {
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler()) // beside /socket.io/ and /v1/ of the same node

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
