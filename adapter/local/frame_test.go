package local_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/peal-dev/peal/adapter/local"
)

// FuzzFrame finds in a frame what was put in, and takes apart what may be anything.
func FuzzFrame(f *testing.F) {
	f.Add(byte(0), uint64(0), "/", "0123456789abcdef", `["a",1]`, []byte{3, '/', 'a', 'b'})
	f.Add(byte(3), uint64(1)<<63, "", "", "", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add(byte(1), uint64(7), "/a", "x", "y", append([]byte{30, 1}, strings.Repeat("x", 29)...))
	f.Fuzz(func(t *testing.T, kind byte, number uint64, namespace, uid, body string, junk []byte) {
		if got, err := local.ReadFrame(junk); err == nil && len(got.Namespace)+len(got.UID)+len(got.Body)+local.IDSize > len(junk) {
			t.Errorf("%q holds %+v", junk, got)
		}
		want := local.Frame{Kind: 1 + kind%(local.Kinds-1), ID: strings.Repeat("i", local.IDSize), Number: number, Namespace: namespace, UID: uid, Body: body}
		if want.Kind == local.Direct {
			want.To = strings.Repeat("t", local.IDSize)
		}
		b := want.Append()
		if size, n := binary.Uvarint(b); n <= 0 || size != uint64(len(b)-n) {
			t.Fatalf("%d bytes say that they are %d", len(b)-n, size)
		}
		if got, err := local.ReadFrame(b); err != nil || got != want {
			t.Errorf("%+v came as %+v, %v", want, got, err)
		}
	})
}
