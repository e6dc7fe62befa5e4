package wsproto_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/internal/wsproto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frames records what a Reader finds.
type frames []string

func (f *frames) Frame(op wsproto.Opcode, payload []byte) error {
	*f = append(*f, fmt.Sprintf("%x:%s", byte(op), payload))
	return nil
}

// client makes a masked frame as a client sends it.
func client(first byte, payload string) []byte {
	b := wsproto.AppendHeader(nil, 0, len(payload))
	b[0] = first
	b[1] |= 0x80
	mask := []byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, mask...)
	for i := range payload {
		b = append(b, payload[i]^mask[i&3])
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestReaderAssembles(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70_000)
	input := join(
		client(0x81, "hello"), client(0x82, "\x00\xff"), client(0x89, "p"), client(0x81, ""),
		client(0x01, "fr"), client(0x8a, "pong between"), client(0x00, "ag"), client(0x80, "ments"),
		client(0x81, long), client(0x81, strings.Repeat("y", 300)), client(0x88, "\x03\xe8bye"),
	)
	want := frames{
		"1:hello", "2:\x00\xff", "9:p", "1:", "a:pong between", "1:fragments",
		"1:" + long, "1:" + strings.Repeat("y", 300), "8:\x03\xe8bye",
	}
	for _, chunk := range []int{1, 2, 3, 7, 64, 1000, len(input)} {
		var r wsproto.Reader
		var got frames
		for rest := bytes.Clone(input); len(rest) > 0; {
			n := min(chunk, len(rest))
			if err := r.Feed(rest[:n], 1_000_000, &got); err != nil {
				t.Fatalf("chunks of %d: %v", chunk, err)
			}
			rest = rest[n:]
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("chunks of %d: %d frames differ from the %d wanted", chunk, len(got), len(want))
		}
		if r.Buffered() != 0 {
			t.Errorf("chunks of %d: %d bytes are still held", chunk, r.Buffered())
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	unmasked := wsproto.AppendFrame(nil, wsproto.Text, []byte("hi"))
	for name, tt := range map[string]struct {
		input []byte
		code  uint16
	}{
		"not masked":             {unmasked, 1002},
		"reserved bit":           {client(0xc1, "x"), 1002},
		"unknown opcode":         {client(0x83, "x"), 1002},
		"fragmented ping":        {client(0x09, "x"), 1002},
		"long ping":              {client(0x89, strings.Repeat("x", 126)), 1002},
		"stray continuation":     {client(0x80, "x"), 1002},
		"message in a message":   {join(client(0x01, "x"), client(0x81, "y")), 1002},
		"half a close code":      {client(0x88, "x"), 1002},
		"close code 1005":        {client(0x88, "\x03\xed"), 1002},
		"close reason not UTF-8": {client(0x88, "\x03\xe8\xff"), 1007},
		"text not UTF-8":         {client(0x81, "\xff"), 1007},
		"too big":                {client(0x82, strings.Repeat("x", 101)), 1009},
		"too big in fragments":   {join(client(0x02, strings.Repeat("x", 60)), client(0x80, strings.Repeat("x", 41))), 1009},
		"too big by its header":  {client(0x82, strings.Repeat("x", 70_000))[:12], 1009},
	} {
		var r wsproto.Reader
		var got frames
		var protocol *wsproto.ProtocolError
		if err := r.Feed(bytes.Clone(tt.input), 100, &got); !errors.As(err, &protocol) || protocol.Code != tt.code {
			t.Errorf("%s: got %v, want close code %d", name, err, tt.code)
		}
	}
}

func TestExactlyTheLimitPasses(t *testing.T) {
	t.Parallel()
	var r wsproto.Reader
	var got frames
	if err := r.Feed(client(0x82, strings.Repeat("x", 100)), 100, &got); err != nil || len(got) != 1 {
		t.Errorf("got %d messages and %v, want 1 and nil", len(got), err)
	}
}

type refusing struct{ err error }

func (s refusing) Frame(wsproto.Opcode, []byte) error { return s.err }

func TestSinkErrorStops(t *testing.T) {
	t.Parallel()
	var r wsproto.Reader
	boom := errors.New("boom")
	if err := r.Feed(client(0x81, "x"), 100, refusing{boom}); !errors.Is(err, boom) {
		t.Errorf("got %v, want the sink's error", err)
	}
}

func TestCloseFrames(t *testing.T) {
	t.Parallel()
	if got := wsproto.AppendClose(nil, 0, "ignored"); !bytes.Equal(got, []byte{0x88, 0}) {
		t.Errorf("empty close = %x", got)
	}
	if got := wsproto.AppendClose(nil, 1009, "big"); !bytes.Equal(got, []byte("\x88\x05\x03\xf1big")) {
		t.Errorf("close = %x", got)
	}
	if got := wsproto.AppendClose(nil, 1009, strings.Repeat("r", 500)); len(got) != 127 {
		t.Errorf("a long reason makes a frame of %d bytes, want 127", len(got))
	}
}

func TestAcceptKey(t *testing.T) {
	t.Parallel()
	// The sample of RFC 6455 section 1.3.
	if got := wsproto.AcceptKey("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %q", got)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(client(0x81, "hello"), uint8(3))
	f.Add(join(client(0x01, "a"), client(0x80, "b"), client(0x88, "\x03\xe8")), uint8(1))
	f.Fuzz(func(t *testing.T, input []byte, chunk uint8) {
		const limit = 1 << 16
		var whole, parts wsproto.Reader
		var got, want frames
		wantErr := whole.Feed(bytes.Clone(input), limit, &want)
		var gotErr error
		for rest := bytes.Clone(input); len(rest) > 0 && gotErr == nil; {
			n := min(int(chunk)+1, len(rest))
			gotErr = parts.Feed(rest[:n], limit, &got)
			rest = rest[n:]
			if held := parts.Buffered(); held > 2*limit+wsproto.MaxHeader {
				t.Fatalf("%d bytes are held", held)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("in chunks of %d: %q, %v; whole: %q, %v", chunk+1, got, gotErr, want, wantErr)
		}
	})
}

type discard struct{}

func (discard) Frame(wsproto.Opcode, []byte) error { return nil }

func BenchmarkReader(b *testing.B) {
	frame := client(0x81, `42["tick",{"n":1,"text":"hello"}]`)
	buf := make([]byte, len(frame))
	var r wsproto.Reader
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		copy(buf, frame)
		if err := r.Feed(buf, 1_000_000, discard{}); err != nil {
			b.Fatal(err)
		}
	}
}
