package redislog

import (
	"bytes"
	"testing"

	"github.com/peal-dev/peal/eventlog"
)

// FuzzItem reads anything, and what can be read again as it was.
func FuzzItem(f *testing.F) {
	for _, i := range []eventlog.Item{{}, {Data: []byte(`["e"]`)}, {Data: []byte("x"), Attachments: [][]byte{{}, {1, 2}}}} {
		text, err := encode(&i)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(text))
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var i, again eventlog.Item
		if read(&i, b) != nil {
			return
		}
		text, err := encode(&i)
		if err != nil {
			t.Fatal(err)
		}
		if err := read(&again, []byte(text)); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		same := len(i.Attachments) == len(again.Attachments) && bytes.Equal(i.Data, again.Data)
		for k := 0; same && k < len(i.Attachments); k++ {
			same = bytes.Equal(i.Attachments[k], again.Attachments[k])
		}
		if !same {
			t.Fatalf("%+v came back as %+v", i, again)
		}
	})
}
