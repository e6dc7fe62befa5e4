package engineio_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/engineio"
)

// A middleware that hides the connection is the program's fault: it is counted, and said in the log also when each refusal
// is told to OnError, but not for each client.
func TestTakeoverImpossible(t *testing.T) {
	t.Parallel()
	for name, onError := range map[string]func(*engineio.ConnectionError){"log": nil, "OnError": func(*engineio.ConnectionError) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			server := engineio.NewServer(newEcho(), &engineio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), OnError: onError})
			ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				server.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
			}))
			for range 3 {
				_, resp, err := websocket.Dial(t.Context(), ts.URL+"/?EIO=4&transport=websocket", nil)
				if err == nil || resp.StatusCode != http.StatusBadRequest {
					t.Errorf("answered %v, %v", resp, err)
				}
			}
			if got := server.Stats().Refused["takeover_impossible"]; got != 3 {
				t.Errorf("counted %d of 3: %v", got, server.Stats().Refused)
			}
			ts.Close()
			if err := server.Shutdown(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
			lines := strings.Count(log.String(), "level=WARN msg=\"engineio: WebSockets are refused: a middleware's ResponseWriter")
			if lines != 2 || !strings.Contains(log.String(), "repeated=2") || !strings.Contains(log.String(), "struct { http.ResponseWriter }") {
				t.Errorf("%d lines in\n%s", lines, &log)
			}
		})
	}
}
