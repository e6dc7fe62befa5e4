package engineio_test

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/peal-dev/peal/engineio"
)

// journal is a log that may be read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// Who runs a server sees at info that clients are refused, one line for each reason however many they are, and counts
// them all.
func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	const often = 5
	requests := map[string][]string{ // by reason: a query and headers
		"transport_unknown":            {"EIO=4&transport=carrier-pigeon"},
		"session_id_unknown":           {"EIO=4&transport=polling&sid=SECRETSID"},
		"unsupported_protocol_version": {"EIO=3&transport=polling"},
		"origin_not_allowed":           {"EIO=4&transport=polling", "Origin", "https://evil.example"},
		"jsonp_disabled":               {"EIO=4&transport=polling&j=0"},
		"transport_handshake_error":    {"EIO=4&transport=websocket"},
		"forbidden":                    {"EIO=4&transport=polling&deny=1"},
	}
	provoke := func(f *fixture) {
		for range often {
			for _, r := range requests {
				f.do("GET", r[0], "", r[1:]...)
			}
		}
	}
	deny := func(r *http.Request) error {
		if r.URL.Query().Has("deny") {
			return errors.New("not today, whoever you are")
		}
		return nil
	}

	var log journal
	f := start(t, &engineio.Options{AllowRequest: deny, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	provoke(f)
	want := map[string]uint64{}
	for reason := range requests {
		want[reason] = often
		if got := strings.Count(log.String(), `reason="`+reason+`"`) + strings.Count(log.String(), "reason="+reason+" "); got != 1 {
			t.Errorf("%s: %d lines:\n%s", reason, got, log.String())
		}
	}
	if got := f.server.Stats().Refused; !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if strings.Contains(log.String(), "SECRETSID") { // a session's id is all a polling client has to show
		t.Errorf("the log has the id of a session:\n%s", log.String())
	}

	// Whoever wants to tell it otherwise does so instead.
	var own journal
	told := make(chan string, often*len(requests))
	f = start(t, &engineio.Options{AllowRequest: deny, Logger: slog.New(slog.NewTextHandler(&own, nil)),
		OnError: func(e *engineio.ConnectionError) { told <- e.Reason() }})
	provoke(f)
	if got := len(told); got != often*len(requests) || own.String() != "" {
		t.Errorf("told %d times, and the log has %q", got, own.String())
	}
}
