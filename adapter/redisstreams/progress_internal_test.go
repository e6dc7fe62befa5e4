package redisstreams

import (
	"testing"

	"github.com/peal-dev/peal/internal/redisx"
)

func id(n uint64) redisx.EntryID { return redisx.EntryID{Milliseconds: n} }

// stream is what Redis says of one that has the entries first to last, and had so many.
func stream(first, last, added uint64) redisx.StreamInfo {
	return redisx.StreamInfo{Added: added, Counted: true, Newest: id(last), Length: last - first + 1, First: id(first), Last: id(last)}
}

// TestProgress counts what a reader has missed, which is known when it comes to where Redis was asked.
func TestProgress(t *testing.T) {
	for name, tt := range map[string]struct {
		play func(p *progress) (missing uint64)
		want uint64
	}{
		"nothing": {func(p *progress) uint64 {
			return p.read(id(11)) + p.check(stream(1, 12, 12)) + p.read(id(12)) + p.check(stream(1, 12, 12))
		}, 0},
		"overtaken by the trimming": {func(p *progress) uint64 {
			return p.check(stream(1, 30, 30)) + p.read(id(21)) + p.read(id(30)) + p.read(id(31)) + p.check(stream(21, 31, 31))
		}, 18},
		"the newest is gone too": {func(p *progress) uint64 {
			return p.check(stream(1, 20, 20)) + p.read(id(22)) + p.check(stream(22, 22, 22))
		}, 11},
		"all gone": {func(p *progress) uint64 {
			missing, _ := p.resume(redisx.StreamInfo{Added: 15, Counted: true, Newest: id(15)})
			return missing + p.read(id(16)) + p.check(stream(16, 16, 16))
		}, 5},
		"an answer that is late": {func(p *progress) uint64 {
			return p.read(id(11)) + p.read(id(12)) + p.check(stream(1, 11, 11)) + p.check(stream(1, 12, 12))
		}, 0},
		"not counted": {func(p *progress) uint64 {
			p.begin(redisx.StreamInfo{Newest: id(10)})
			info := stream(15, 16, 0)
			info.Counted = false
			return p.check(info) + p.read(id(15)) + p.read(id(16))
		}, 0},
	} {
		p := &progress{}
		p.begin(stream(1, 10, 10))
		if got := tt.play(p); got != tt.want {
			t.Errorf("%s: %d missing, want %d", name, got, tt.want)
		}
	}
}

// TestProgressOnAnother comes back to a stream that is not the one it was.
func TestProgressOnAnother(t *testing.T) {
	for name, tt := range map[string]struct {
		info redisx.StreamInfo
		at   redisx.EntryID // read on from there
		next uint64         // and what comes then
	}{
		"none":                        {redisx.StreamInfo{Counted: true}, id(0), 1},
		"a new one":                   {stream(100, 105, 6), id(10), 100},
		"a new one that was trimmed":  {stream(103, 105, 6), id(10), 103},
		"an older state":              {stream(1, 8, 8), id(8), 9},
		"an older state that went on": {stream(1, 20, 9), id(10), 20},
	} {
		p := &progress{}
		p.begin(stream(1, 10, 10))
		missing, reset := p.resume(tt.info)
		if missing != 0 || !reset || p.at != tt.at {
			t.Errorf("%s: %d missing, reset %v, at %v; want none, a reset, at %v", name, missing, reset, p.at, tt.at)
		}
		last := tt.info.Added
		for n := tt.next; n <= tt.info.Newest.Milliseconds; n++ {
			missing += p.read(id(n))
		}
		newest := max(tt.info.Newest.Milliseconds, p.at.Milliseconds)
		missing += p.check(stream(newest, newest, last))
		missing += p.read(id(newest+1)) + p.check(stream(newest, newest+1, last+1))
		if missing != 0 {
			t.Errorf("%s: %d missing afterwards", name, missing)
		}
	}
}

// TestStreams holds the names of streams to those of the Node.js adapter, with its hashes.
func TestStreams(t *testing.T) {
	for name, want := range map[string]int32{"/": 47, "/admin": 1438238848, "/chat": 46457863, "/foo": 1501751, "/my-namespace": -1403629527} {
		if got := hash(name); got != want {
			t.Errorf("hash of %s = %d, want %d", name, got, want)
		}
	}
	o := Options{StreamName: "s", StreamCount: 4}
	write, read := o.streams("/my-namespace")
	if write != "s-3" || len(read) != 2 || read[0] != "s-3" || read[1] != "s--3" {
		t.Errorf("/my-namespace is appended to %s and read from %q", write, read)
	}
	if write, read = o.streams("/chat"); write != "s-3" || len(read) != 1 {
		t.Errorf("/chat is appended to %s and read from %q", write, read)
	}
}

// FuzzEntry reads what another node may have appended.
func FuzzEntry(f *testing.F) {
	for _, seed := range [][2]string{
		{"3", `{"packet":{"type":2,"data":["hello",1]},"opts":{"rooms":[],"except":[],"flags":{}}}`},
		{"3", "gqZwYWNrZXSCpHR5cGUCpGRhdGGSo2JpbsQDAQIDpG9wdHODpXJvb21zkaVyb29tMaZleGNlcHSQpWZsYWdzgA=="},
		{"4", `{"opts":{"rooms":["a"],"except":[],"flags":{}},"rooms":["b"]}`}, {"13", ""}, {"300", "!"},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		e := &redisx.Entry{Fields: []redisx.Field{{Name: "uid", Value: []byte("u")}, {Name: "nsp", Value: []byte("/")},
			{Name: "type", Value: []byte(kind)}, {Name: "data", Value: data}}}
		in, uid, namespace := incoming("s", e)
		m, err := in.Decode()
		if err != nil {
			return
		}
		if m.UID != uid || m.Namespace != namespace || m.Type != in.Type {
			t.Fatalf("decoded %+v", m)
		}
		if _, err := m.Envelope(0); err != nil || !streamed(m) {
			return
		}
		fields, err := encode(m)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		in, _, _ = incoming("s", &redisx.Entry{Fields: fields})
		if _, err := in.Decode(); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}
