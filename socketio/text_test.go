package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/peal-dev/peal/socketio"
)

type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

type rawText string

func (r rawText) MarshalText() ([]byte, error) { return []byte(r), nil }

// TestWritesUnicode: whatever a program hands over, what leaves is UTF-8. The witness's WebSocket library closes at the
// first byte that is not.
func TestWritesUnicode(t *testing.T) {
	t.Parallel()
	const bad = "caf\xe9"
	raw := json.RawMessage(`"` + bad + `"`)
	r := newRig(t, nil, func(io *socketio.Server) {
		refusal := &socketio.Error{Code: bad, Message: bad, Data: map[string]any{bad: raw}}
		io.On("refused", func() error { return refusal })
		io.On("wrapped", func() error { return fmt.Errorf("%s: %w", bad, refusal) })
		io.On("errorf", func() error { return errors.New(bad) })
		io.On("raw", func() json.RawMessage { return raw })
		io.On("late", func(ack socketio.Ack) error { return ack(rawJSON(raw), rawText(bad)) })
		io.On(bad, func(ev *socketio.Event) {})
		io.Of("/closed").Use(func(context.Context, *socketio.Socket) error { return refusal })
	})
	witness, _ := r.join()
	want := func(what string) {
		t.Helper()
		if got := witness.read(); !utf8.ValidString(got) || !strings.Contains(got, "caf\uFFFD") {
			t.Errorf("%s: %q", what, got)
		}
	}
	for name, v := range map[string]any{
		"string": bad, "RawMessage": raw, "MarshalJSON": rawJSON(raw), "MarshalText": rawText(bad), "map": map[string]any{bad: 1},
		"struct": struct{ A json.RawMessage }{raw}, "binary": map[string]any{"a": []byte{1}, "b": raw},
	} {
		if err := r.io.Emit(t.Context(), "out", v); err != nil {
			t.Fatal(err)
		}
		want("Emit of a " + name)
		if name == "binary" {
			witness.read()
		}
	}
	if err := r.io.Emit(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	want("an event's name")
	for _, event := range []string{"refused", "wrapped", "raw", "late"} {
		witness.send(`427["` + event + `"]`)
		want("acknowledgement of " + event)
	}
	witness.send(`427["errorf"]`)
	witness.want(`437[{"error":{"code":"internal","message":"internal error"}}]`)
	witness.send(`40/closed,`)
	want("CONNECT_ERROR")
}

// TestEmitRefusesLookalikes: a program that emits binary data beside an object that looks like a placeholder is told, and
// no client is bothered.
func TestEmitRefusesLookalikes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	p, _ := r.join()
	like := map[string]any{"_placeholder": true, "num": 0}
	if err := r.io.Emit(t.Context(), "a", []byte{1}, like); err == nil || !strings.Contains(err.Error(), "looks like a placeholder") && !strings.Contains(err.Error(), "two placeholders") {
		t.Errorf("beside binary: %v", err)
	}
	if err := r.io.Emit(t.Context(), "a", like); err != nil {
		t.Errorf("alone: %v", err)
	}
	p.want(`42["a",{"_placeholder":true,"num":0}]`)
}
