package wire_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/bench/wire"
	"github.com/peal-dev/peal/internal/wsproto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFrames(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 100_000} {
		payload := bytes.Repeat([]byte("ab3"), size/3+1)[:size]
		var reader wsproto.Reader
		op, got, rest, err := reader.Next(wire.AppendFrame(nil, wire.Text, payload), 1<<20)
		if err != nil || op != wsproto.Text || !bytes.Equal(got, payload) || len(rest) > 0 {
			t.Errorf("a client's frame of %d bytes: %v, opcode %d, %d bytes", size, err, op, len(got))
		}
		frame := wsproto.AppendFrame(nil, wsproto.Binary, payload)
		for _, cut := range []int{0, 1, len(frame) / 2, len(frame) - 1} {
			if _, n, err := wire.DecodeFrame(frame[:cut]); n != 0 || err != nil {
				t.Errorf("%d bytes of a frame of %d: %d, %v", cut, len(frame), n, err)
			}
		}
		f, n, err := wire.DecodeFrame(append(frame, "next"...))
		if err != nil || n != len(frame) || f.Op != wire.Binary || !bytes.Equal(f.Payload, payload) {
			t.Errorf("a server's frame of %d bytes: %d, %v", size, n, err)
		}
	}
	for _, bad := range []string{"\x01\x00", "\xc1\x00", "\x81\x80", "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, _, err := wire.DecodeFrame([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	const text = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\nX: y\r\n\r\n"
	h, n, err := wire.DecodeHead([]byte(text + "body"))
	if err != nil || n != len(text) || h != (wire.Head{Status: 200, Length: 12}) {
		t.Errorf("%+v, %d, %v", h, n, err)
	}
	h, _, err = wire.DecodeHead([]byte("HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked\r\n\r\n"))
	if err != nil || h != (wire.Head{Status: 101, Length: -1, Chunked: true}) {
		t.Errorf("%+v, %v", h, err)
	}
	if _, n, err := wire.DecodeHead([]byte(text[:20])); n != 0 || err != nil {
		t.Errorf("half a head: %d, %v", n, err)
	}
	for _, bad := range []string{"SSH-2.0\r\n\r\n", "HTTP/1.1 2\r\n\r\n"[:9] + "x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", strings.Repeat("x", 20_000)} {
		if _, _, err := wire.DecodeHead([]byte(bad)); err == nil {
			t.Errorf("%.40q was taken", bad)
		}
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	const body = "5;name=value\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
	var got []byte
	at := 0
	for {
		data, n, err := wire.DecodeChunk([]byte(body[at:]))
		if err != nil || n == 0 {
			t.Fatalf("at %d: %d, %v", at, n, err)
		}
		at += n
		if len(data) == 0 {
			break
		}
		got = append(got, data...)
	}
	if string(got) != "hello!" || at != len(body) {
		t.Errorf("%q, %d of %d", got, at, len(body))
	}
	for cut := range len("5;name=value\r\nhello\r\n") {
		if _, n, err := wire.DecodeChunk([]byte(body[:cut])); n != 0 || err != nil {
			t.Errorf("the first %d bytes: %d, %v", cut, n, err)
		}
	}
	for _, bad := range []string{"x\r\n", "-1\r\n", "\r\n", strings.Repeat("1", 100)} {
		if _, _, err := wire.DecodeChunk([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	want := wire.Stamp{Run: 0xdeadbeef, Topic: 7, Seq: 1 << 30, At: 5 * time.Hour}
	padded := wire.AppendPadded(nil, want, 100)
	if len(padded) != 100 {
		t.Errorf("%d bytes", len(padded))
	}
	if got, ok := wire.FindStamp(append([]byte(`2["broadcast","`), padded...)); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, text := range []string{"", "peal:", string(padded[:wire.StampSize-1]), strings.Replace(string(padded), "d", "D", 1)} {
		if _, ok := wire.FindStamp([]byte(text)); ok {
			t.Errorf("a stamp was found in %q", text)
		}
	}
}

// No bytes make a decoder panic, or consume more than there is.
func FuzzDecoders(f *testing.F) {
	f.Add([]byte("\x81\x05hello"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("5\r\nhello\r\n"))
	f.Add(wire.AppendStamp(nil, wire.Stamp{Run: 1}))
	f.Fuzz(func(t *testing.T, p []byte) {
		if fr, n, err := wire.DecodeFrame(p); n > len(p) || err == nil && n > 0 && len(fr.Payload) > n {
			t.Errorf("frame: %d of %d", n, len(p))
		}
		if _, n, _ := wire.DecodeHead(p); n > len(p) {
			t.Errorf("head: %d of %d", n, len(p))
		}
		if data, n, _ := wire.DecodeChunk(p); n > len(p) || len(data) > n {
			t.Errorf("chunk: %d of %d", n, len(p))
		}
		wire.FindStamp(p)
	})
}
