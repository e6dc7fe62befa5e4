package sse_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/peal-dev/peal/adapter"
	"github.com/peal-dev/peal/sse"
)

func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func TestCORS(t *testing.T) {
	t.Parallel()
	a, err := adapter.New(t.Context(), "/", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	listed := &sse.CORS{AllowOrigins: []string{"https://App.example:443"}}
	for _, test := range []struct {
		name        string
		cors        *sse.CORS
		origin      string
		status      int
		allow       string
		credentials string
	}{
		{"no origin", nil, "", 200, "", ""},
		{"same origin", nil, "http://example.com", 200, "", ""},
		{"same host behind TLS", nil, "https://EXAMPLE.com", 200, "", ""},
		{"other origin, no policy", nil, "https://app.example", 403, "", ""},
		{"other port, no policy", nil, "http://example.com:81", 403, "", ""},
		{"zero policy", &sse.CORS{}, "https://app.example", 403, "", ""},
		{"listed", listed, "https://app.example", 200, "https://app.example", ""},
		{"not listed", listed, "https://app.example.evil", 403, "", ""},
		{"any", &sse.CORS{AllowOrigins: []string{"*"}}, "https://x.example", 200, "*", ""},
		{"with credentials", &sse.CORS{AllowOrigins: []string{"https://*.x.example"}, AllowCredentials: true}, "https://a.x.example", 200,
			"https://a.x.example", "true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := sse.NewHandler(func(*http.Request) (sse.Subscription, error) {
				return sse.Subscription{Adapter: a}, nil
			}, &sse.Options{CORS: test.cors})
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // the client has left, so the handler returns after the headers
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != test.status || w.Header().Get("Access-Control-Allow-Origin") != test.allow ||
				w.Header().Get("Access-Control-Allow-Credentials") != test.credentials {
				t.Errorf("status %d, headers %v", w.Code, w.Header())
			}
			if test.cors != nil && test.cors.AllowOrigins != nil && w.Header().Get("Vary") != "Origin" {
				t.Errorf("Vary %q", w.Header().Get("Vary"))
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	h := sse.NewHandler(nil, &sse.Options{CORS: &sse.CORS{AllowOrigins: []string{"https://app.example"}}})
	for method, want := range map[string]string{"GET": "https://app.example", "POST": ""} {
		r := httptest.NewRequest(http.MethodOptions, "/", nil)
		r.Header.Set("Origin", "https://app.example")
		r.Header.Set("Access-Control-Request-Method", method)
		r.Header.Set("Access-Control-Request-Headers", "authorization,last-event-id")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header(); w.Code != http.StatusNoContent || got.Get("Access-Control-Allow-Origin") != want ||
			want != "" && (got.Get("Access-Control-Allow-Methods") != "GET" || got.Get("Access-Control-Allow-Headers") != "authorization,last-event-id") {
			t.Errorf("preflight of %s: %d %v", method, w.Code, got)
		}
	}
}
