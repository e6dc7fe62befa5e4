package eioproto_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/peal-dev/peal/engineio/eioproto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTextForm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		packet eioproto.Packet
		text   string
	}{
		{eioproto.Packet{Type: eioproto.Open, Data: []byte(`{"sid":"x"}`)}, `0{"sid":"x"}`},
		{eioproto.Packet{Type: eioproto.Close}, "1"},
		{eioproto.Packet{Type: eioproto.Ping, Data: []byte("probe")}, "2probe"},
		{eioproto.Packet{Type: eioproto.Pong, Data: []byte("probe")}, "3probe"},
		{eioproto.Packet{Type: eioproto.Message, Data: []byte("héllo")}, "4héllo"},
		{eioproto.Packet{Type: eioproto.Upgrade}, "5"},
		{eioproto.Packet{Type: eioproto.Noop}, "6"},
		{eioproto.Packet{Type: eioproto.Message, Binary: true, Data: []byte{1, 2, 3, 4}}, "bAQIDBA=="},
		{eioproto.Packet{Type: eioproto.Message, Binary: true, Data: []byte{0xfb, 0xff}}, "b+/8="},
	} {
		if got := eioproto.AppendText(nil, tt.packet); string(got) != tt.text {
			t.Errorf("AppendText(%v) = %q, want %q", tt.packet, got, tt.text)
		}
		got, err := eioproto.Decode([]byte(tt.text))
		if err != nil || got.Type != tt.packet.Type || got.Binary != tt.packet.Binary || !bytes.Equal(got.Data, tt.packet.Data) {
			t.Errorf("Decode(%q) = %v, %v; want %v", tt.text, got, err, tt.packet)
		}
	}
}

func TestDecodeIsLenientOnBase64(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"b+/8=", "b-_8=", "b-_8", "b+/8"} {
		p, err := eioproto.Decode([]byte(text))
		if err != nil || !bytes.Equal(p.Data, []byte{0xfb, 0xff}) {
			t.Errorf("Decode(%q) = %x, %v; want fbff", text, p.Data, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "7", "abc", "\x00", "b!", "ba", "9x"} {
		if p, err := eioproto.Decode([]byte(text)); !errors.Is(err, eioproto.ErrPacket) {
			t.Errorf("Decode(%q) = %v, %v; want ErrPacket", text, p, err)
		}
	}
}

func TestPacketsStopAtTheFirstBadOne(t *testing.T) {
	t.Parallel()
	var good []string
	var bad int
	for p, err := range eioproto.Packets([]byte("4a\x1e4b\x1e9\x1e4c")) {
		if err != nil {
			bad++
			continue
		}
		good = append(good, string(p.Data))
	}
	if len(good) != 2 || good[0] != "a" || good[1] != "b" || bad != 1 {
		t.Errorf("got %q and %d errors, want [a b] and 1", good, bad)
	}
	for _, err := range eioproto.Packets(nil) {
		if err == nil {
			t.Error("an empty payload is an empty packet and so an error")
		}
	}
}

// TestPacketsAreText: a polling client's bytes that are no UTF-8 must not become text that others choke on.
func TestPacketsAreText(t *testing.T) {
	t.Parallel()
	payload := []byte("4caf\xe9\x1e4\xed\xa0\xbd\x1eb\x2f\x2f\x38\x3d\x1e4é")
	var got []string
	for p, err := range eioproto.Packets(payload) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(p.Data))
	}
	if want := []string{"caf\uFFFD", "\uFFFD\uFFFD\uFFFD", "\xff\xff", "é"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPacketTypeString(t *testing.T) {
	t.Parallel()
	if got := eioproto.Noop.String(); got != "noop" {
		t.Errorf("Noop = %q", got)
	}
	if got := eioproto.PacketType(9).String(); got != "PacketType(9)" {
		t.Errorf("9 = %q", got)
	}
}

func TestJSONP(t *testing.T) {
	t.Parallel()
	got := eioproto.AppendJSONP(nil, "1a2", []byte("4\"\\\n\u2028</script>é"))
	const prefix, suffix = "___eio[12](", ");"
	if !bytes.HasPrefix(got, []byte(prefix)) || !bytes.HasSuffix(got, []byte(suffix)) {
		t.Fatalf("got %q", got)
	}
	literal := got[len(prefix) : len(got)-len(suffix)]
	if bytes.ContainsAny(literal, "<>\n") || bytes.Contains(literal, []byte("\u2028")) {
		t.Errorf("%q holds a character that is not safe in a script", literal)
	}
	var back string
	if err := json.Unmarshal(literal, &back); err != nil || back != "4\"\\\n\u2028</script>é" {
		t.Errorf("the script string reads back as %q, %v", back, err)
	}
	if got := eioproto.DecodeJSONPData(`4a\nb\\nc\d`); string(got) != "4a\nb\\nc\\d" {
		t.Errorf("DecodeJSONPData = %q", got)
	}
}

func FuzzPackets(f *testing.F) {
	f.Add([]byte("4hello\x1ebAQIDBA==\x1e2probe"))
	f.Add([]byte("\x1e\x1e"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var packets []eioproto.Packet
		for p, err := range eioproto.Packets(payload) {
			if err != nil {
				return
			}
			if !p.Binary && !utf8.Valid(p.Data) {
				t.Fatalf("%q became %q", payload, p.Data)
			}
			packets = append(packets, p)
		}
		again := eioproto.AppendPayload(nil, packets...)
		i := 0
		for p, err := range eioproto.Packets(again) {
			if err != nil || i >= len(packets) || p.Type != packets[i].Type || p.Binary != packets[i].Binary || !bytes.Equal(p.Data, packets[i].Data) {
				t.Fatalf("packet %d of %q does not survive a round trip: %v, %v", i, payload, p, err)
			}
			i++
		}
		if i != len(packets) {
			t.Fatalf("%d packets became %d", len(packets), i)
		}
	})
}

func FuzzJSONP(f *testing.F) {
	f.Add("0", []byte("4hello"), `4a\nb`)
	f.Fuzz(func(t *testing.T, index string, payload []byte, data string) {
		script := eioproto.AppendJSONP(nil, index, payload)
		prefix := "___eio[" + eioproto.JSONPIndex(index) + "]("
		var back string
		if err := json.Unmarshal(script[len(prefix):len(script)-2], &back); err != nil {
			t.Fatalf("not a string literal: %q: %v", script, err)
		}
		if out := eioproto.DecodeJSONPData(data); len(out) > len(data) {
			t.Fatalf("%q grew to %q", data, out)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(`42["tick",{"n":1,"text":"hello"}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eioproto.Decode(text); err != nil {
			b.Fatal(err)
		}
	}
}
