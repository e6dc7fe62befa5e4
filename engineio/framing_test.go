package engineio_test

import (
	"testing"

	"github.com/peal-dev/peal/engineio"
)

// TestFramings: what is sent has the bytes of each framing, made once and shared, whichever way it was prepared.
func TestFramings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepared *engineio.Prepared
		want     [3]string
	}{
		"text":           {engineio.Prepare(engineio.Message{Data: []byte("hi")}), [3]string{"\x81\x034hi", "\x81\x034hi", "4hi"}},
		"text in place":  {engineio.PrepareText(append(make([]byte, engineio.Headroom), "hi"...)), [3]string{"\x81\x034hi", "\x81\x034hi", "4hi"}},
		"text no UTF-8":  {engineio.PrepareText(append(make([]byte, engineio.Headroom), '\xff')), [3]string{"\x81\x044\uFFFD", "\x81\x044\uFFFD", "4\uFFFD"}},
		"binary":         {engineio.Prepare(engineio.Message{Binary: true, Data: []byte{1, 2}}), [3]string{"\x82\x02\x01\x02", "\x81\x05bAQI=", "bAQI="}},
		"text and bytes": {engineio.Prepare(engineio.Message{Data: []byte("a")}, engineio.Message{Binary: true, Data: []byte{1, 2}}), [3]string{"\x81\x024a\x82\x02\x01\x02", "\x81\x024a\x81\x05bAQI=", "4a\x1ebAQI="}},
	} {
		first, second := engineio.Framed(test.prepared), engineio.Framed(test.prepared)
		for f, want := range test.want {
			if got := string(first[f]); got != want {
				t.Errorf("%s in framing %d: %q, want %q", name, f, got, want)
			}
			if &first[f][0] != &second[f][0] {
				t.Errorf("%s in framing %d was made twice", name, f)
			}
		}
	}
}
