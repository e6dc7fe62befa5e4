package message_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/peal-dev/peal/message"
)

// FuzzParse: what is taken is JSON and UTF-8, has a name, keeps its arguments, and is taken again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`["a",1]`, ` [ "a" , {"b":[2]} ] `, `[5,6]`, `[1e400]`, `["a"`, `[]`, `{}`, `["connect"]`, "[\"caf\xe9\"]",
		`["a",{"_placeholder":true,"num":0}]`, `["a",{"_placeholder":true,"num":0},{"num":1,"_placeholder":true}]`,
	} {
		f.Add([]byte(seed), 0)
		f.Add([]byte(seed), 1)
	}
	f.Fuzz(func(t *testing.T, data []byte, attachments int) {
		attachments &= 3
		m, err := message.Parse(data, make([][]byte, attachments), 2)
		if err != nil {
			return
		}
		if attachments > 2 || !utf8.Valid(m.Data) {
			t.Fatalf("%q with %d attachments became %q", data, attachments, m.Data)
		}
		var elements, args []json.RawMessage
		if err := json.Unmarshal(m.Data, &elements); err != nil {
			t.Fatalf("%q became %q: %v", data, m.Data, err)
		}
		if name, err := message.EventName(elements[0]); err != nil || name != m.Event() {
			t.Fatalf("%q has the name %q, and %q by itself, %v", m.Data, m.Event(), name, err)
		}
		if err := json.Unmarshal(m.Args(), &args); err != nil || len(args) != len(elements)-1 {
			t.Fatalf("%q has the arguments %q, %v", m.Data, m.Args(), err)
		}
		if _, err := message.Parse(m.Data, m.Attachments, 2); err != nil {
			t.Fatalf("%q became %q, which is refused: %v", data, m.Data, err)
		}
	})
}
