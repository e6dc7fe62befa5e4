package streamhttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/peal-dev/peal/eventlog/filelog"
	"github.com/peal-dev/peal/eventlog/streamhttp"
)

// BenchmarkAppend measures durable appends of 100 bytes over loopback, each a request, by 32 clients for each core.
func BenchmarkAppend(b *testing.B) {
	store, err := filelog.Open(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	h, err := streamhttp.New(b.Context(), store, nil)
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(h)
	server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 1000
	defer func() {
		server.Close()
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	}()
	send := func(method, body string) error {
		r, err := http.NewRequestWithContext(b.Context(), method, server.URL+prefix+"a", strings.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "text/plain")
		res, err := server.Client().Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err == nil && res.StatusCode >= 300 {
			b.Errorf("%s: %s", method, res.Status)
		}
		return err
	}
	if err := send("PUT", ""); err != nil {
		b.Fatal(err)
	}
	body := strings.Repeat("x", 100)
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := send("POST", body); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
