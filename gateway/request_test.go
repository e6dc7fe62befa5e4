package gateway_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/message"
	"github.com/peal-dev/peal/socketio/sioproto"
)

// FuzzPublication: whatever a backend sends is refused with a code, or becomes an event that every client can read and
// whose arguments are those that were sent.
func FuzzPublication(f *testing.F) {
	for _, seed := range []string{
		`{"event":"a","args":[1,"two",{"x":null}],"rooms":["r"],"except":[]}`,
		`{"event":"a","rooms":"r","args":null}`,
		`{"event":"\u0000\"","args":[ ]}`,
		`{"event":"half \ud83d","args":["\ude00",{"\ud83d":1}],"rooms":["\ud83d"]}`, "{\"event\":\"caf\xe9\",\"args\":[\"\xff\"]}",
		`{"event":"a","args":[{"_placeholder":true,"num":0}]}`,
		`{"event":"connect"}`, `{"event":"a","args":{}}`, `[]`, `{`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		data, err := gateway.ParsePublication(body, 10)
		if err != nil {
			if gateway.Code(err) == "" {
				t.Fatalf("%q: an error without a code: %v", body, err)
			}
			return
		}
		if !utf8.Valid(data) {
			t.Fatalf("%q became %q", body, data)
		}
		if err := message.Check(data, 0, 0); err != nil {
			t.Fatalf("%q became %q: %v", body, data, err)
		}
		elements, err := sioproto.Elements(data)
		if err != nil || len(elements) == 0 {
			t.Fatalf("%q became %q: %v", body, data, err)
		}
		var sent struct {
			Event string
			Args  []json.RawMessage
		}
		if err := json.Unmarshal(body, &sent); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		name, err := message.EventName(elements[0])
		if err != nil || name != sent.Event {
			t.Errorf("%q became event %q, %v", body, name, err)
		}
		if len(elements)-1 != len(sent.Args) {
			t.Fatalf("%q became %q", body, data)
		}
		for i, arg := range sent.Args {
			if text := []rune(string(arg)); string(elements[i+1]) != string(text) {
				t.Errorf("argument %d of %q became %q", i, body, elements[i+1])
			}
		}
	})
}
