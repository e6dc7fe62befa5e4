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

// read has r read p to its end.
func (f *frames) read(r *wsproto.Reader, p []byte, limit int) error {
	for len(p) > 0 {
		op, payload, rest, err := r.Next(p, limit)
		if err != nil {
			return err
		}
		if op == wsproto.Continuation {
			if len(rest) > 0 {
				return fmt.Errorf("nothing was found before %d bytes", len(rest))
			}
			return nil
		}
		*f = append(*f, fmt.Sprintf("%x:%s", byte(op), payload))
		p = rest
	}
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
			if err := got.read(&r, rest[:n], 1_000_000); err != nil {
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
		if err := got.read(&r, bytes.Clone(tt.input), 100); !errors.As(err, &protocol) || protocol.Code != tt.code {
			t.Errorf("%s: got %v, want close code %d", name, err, tt.code)
		}
	}
}

func TestExactlyTheLimitPasses(t *testing.T) {
	t.Parallel()
	var r wsproto.Reader
	var got frames
	if err := got.read(&r, client(0x82, strings.Repeat("x", 100)), 100); err != nil || len(got) != 1 {
		t.Errorf("got %d messages and %v, want 1 and nil", len(got), err)
	}
}

// A caller may stop between two messages, and the payload it was given stays as it is while it reads on.
func TestPayloadOutlivesTheNextFrame(t *testing.T) {
	t.Parallel()
	input := join(client(0x89, "first"), client(0x89, "second"))
	for _, cut := range []int{0, 3} {
		var r wsproto.Reader
		p := bytes.Clone(input)
		if cut > 0 {
			if op, _, rest, err := r.Next(p[:cut], 100); op != wsproto.Continuation || len(rest) > 0 || err != nil {
				t.Fatalf("a piece: %x, %q, %v", byte(op), rest, err)
			}
		}
		_, first, rest, err := r.Next(p[cut:], 100)
		if err != nil {
			t.Fatal(err)
		}
		_, second, rest, err := r.Next(rest, 100)
		if err != nil || len(rest) > 0 || string(first) != "first" || string(second) != "second" {
			t.Errorf("cut at %d: got %q, %q, %q behind them and %v", cut, first, second, rest, err)
		}
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
		wantErr := want.read(&whole, bytes.Clone(input), limit)
		var gotErr error
		for rest := bytes.Clone(input); len(rest) > 0 && gotErr == nil; {
			n := min(int(chunk)+1, len(rest))
			gotErr = got.read(&parts, rest[:n], limit)
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

func BenchmarkReader(b *testing.B) {
	frame := client(0x81, `42["tick",{"n":1,"text":"hello"}]`)
	buf := make([]byte, len(frame))
	var r wsproto.Reader
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		copy(buf, frame)
		if _, _, _, err := r.Next(buf, 1_000_000); err != nil {
			b.Fatal(err)
		}
	}
}
