package streamhttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/peal-dev/peal/eventlog/memlog"
	"github.com/peal-dev/peal/eventlog/streamhttp"
)

func Example() {
	ctx := context.Background()
	store := memlog.New() // or filelog.Open(dir, nil)
	handler, err := streamhttp.New(ctx, store, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle(streamhttp.DefaultPrefix, handler)
	server := httptest.NewServer(mux)
	defer func() {
		_ = handler.Shutdown(ctx)
		server.Close()
		_ = store.Close()
	}()

	send := func(method, query, body string) {
		r, _ := http.NewRequestWithContext(ctx, method, server.URL+streamhttp.DefaultPrefix+"answers/17"+query, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		res, err := server.Client().Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		text, _ := io.ReadAll(res.Body)
		fmt.Println(strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, text)))
	}
	send("PUT", "", "")
	send("POST", "", `{"token":"to"}`)
	send("POST", "", `{"token":"be"}`)
	send("GET", "?offset=-1", "")
	// Output:
	// 201
	// 204
	// 204
	// 200 [{"token":"to"},{"token":"be"}]
}
