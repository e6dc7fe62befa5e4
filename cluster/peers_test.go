package cluster

import (
	"strings"
	"testing"
)

func told(id, address string) announcement {
	return announcement{Info: Info{ID: id, Address: address}, Key: make([]byte, keySize), Kind: beat}
}

// A peer is lost when this node's own heartbeats have come back and its have not: never because Redis is away.
func TestPeersAreLostByHeartbeats(t *testing.T) {
	t.Parallel()
	var ps peers
	ps.heard(told("aaaaa", "127.0.0.1:1"))
	ps.heard(told("bbbbb", "127.0.0.1:2"))
	a, _ := ps.find("aaaaa")
	cut := 0
	f, ok := ps.begin(a, func() { cut++ })
	if !ok {
		t.Fatal("a request to a peer that is there cannot begin")
	}
	for range 3 * lostBeats {
		ps.heard(told("bbbbb", "127.0.0.1:2"))
	}
	if ps.len() != 2 {
		t.Error("heartbeats of another node made one lost")
	}
	for i := range lostBeats + 1 {
		if cut != 0 {
			t.Fatalf("lost after %d heartbeats", i)
		}
		ps.heard(told("bbbbb", "127.0.0.1:2"))
		lost := ps.beat()
		if gone := i == lostBeats; gone != (len(lost) == 1) {
			t.Errorf("heartbeat %d: lost %v", i, lost)
		}
	}
	// While heartbeats of this node do not come back nobody is lost, nor at once when they do again.
	ps.away()
	for range lostBeats + graceBeats {
		if lost := ps.beat(); len(lost) > 0 {
			t.Errorf("lost %v just after the cluster was away", lost)
		}
	}
	if cut != 1 || ps.len() != 1 {
		t.Errorf("cut %d, %d peers are left", cut, ps.len())
	}
	ps.land(a, f)
	if _, ok := ps.begin(a, func() {}); ok {
		t.Error("a request to a lost peer can begin")
	}
}

// Who looks for a peer is told when one comes, a peer that has changed cuts what the old one was to answer, and one that
// says goodbye lets it end.
func TestPeersComeAndGo(t *testing.T) {
	t.Parallel()
	var ps peers
	p, changed := ps.find("aaaaa")
	if p != nil {
		t.Fatal("found what nobody told of")
	}
	ps.heard(told("aaaaa", "127.0.0.1:1"))
	select {
	case <-changed:
	default:
		t.Error("a peer came and nobody was told")
	}
	p, _ = ps.find("aaaaa")
	cut := 0
	_, _ = ps.begin(p, func() { cut++ })
	ps.heard(told("aaaaa", "127.0.0.1:9"))
	if moved, _ := ps.find("aaaaa"); cut != 1 || moved.address != "127.0.0.1:9" {
		t.Errorf("a peer moved: cut %d, %+v", cut, moved)
	}
	p, _ = ps.find("aaaaa")
	_, _ = ps.begin(p, func() { cut++ })
	ps.heard(announcement{Info: Info{ID: "aaaaa"}, Kind: bye})
	if p, _ := ps.find("aaaaa"); p != nil || cut != 1 {
		t.Errorf("after a goodbye %v, cut %d", p, cut)
	}
	for i := range maxPeers + 10 {
		ps.heard(told(strings.Repeat("x", 2)+string([]byte{byte('a' + i%26), byte('a' + i/26%26), byte('a' + i/676)}), "127.0.0.1:1"))
	}
	if n := ps.len(); n != maxPeers {
		t.Errorf("%d peers", n)
	}
}

// What nodes have not told is not believed, and what they have is read as they meant it.
func FuzzParseAnnouncement(f *testing.F) {
	f.Add([]byte(`["node",{"id":"aaaaa","address":"10.0.0.1:80","key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","kind":"beat","name":"\ufffd","load":{"clients":-1}}]`))
	f.Add([]byte(`["node",{"id":"aaaaa","kind":"bye"}]`))
	f.Add([]byte(`["node",{"id":"aaaaa","address":"0.0.0.0:80","key":"","kind":"hello"}]`))
	f.Add([]byte(`["nodes",{}]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, err := parseAnnouncement(payload)
		if err != nil {
			return
		}
		if len(a.ID) != nodeSize || !plain(a.ID) {
			t.Errorf("a node called %q", a.ID)
		}
		if a.Kind == bye {
			return
		}
		if len(a.Name) > 100 || len(a.Version) > 100 || a.Load.Clients < 0 {
			t.Errorf("believed %+v", a)
		}
		if len(a.Key) != keySize || a.Address != "" && CheckAddress(a.Address) != nil {
			t.Errorf("believed %+v", a)
		}
	})
}

// Ids are of one form, tell their node, and no two are the same.
func FuzzOwnerOf(f *testing.F) {
	f.Add("AAAAAaaaaaaaaaaaaaaa")
	f.Add("AAAAA/../aaaaaaaaaaa")
	f.Add("")
	n := &Node{id: newID(nodeSize)}
	seen := make(map[string]bool)
	for range 10_000 {
		sid, err := n.SessionID(nil)
		if owner, ok := ownerOf(sid); err != nil || !ok || owner != n.id || seen[sid] {
			f.Fatalf("%q is of %q, %v, %v", sid, owner, ok, err)
		}
		seen[sid] = true
	}
	f.Fuzz(func(t *testing.T, sid string) {
		node, ok := ownerOf(sid)
		if want := len(sid) == 20 && strings.Trim(sid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""; ok != want {
			t.Errorf("%q: %v", sid, ok)
		}
		if ok && node != sid[:5] {
			t.Errorf("%q is of %q", sid, node)
		}
	})
}

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"10.0.0.7:8080", "[fd00::7]:80", "node-1.internal:65535", "https://10.0.0.7:8443"} {
		if err := CheckAddress(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ":8080", "0.0.0.0:80", "[::]:80", "host", "host:0", "host:65536", "host:http", "ho st:1", "http://host:1", "https://", "https://0.0.0.0:80", "https://https://a:1", "a/b:1"} {
		if CheckAddress(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// The random part uses the whole alphabet.
func TestIDsAreRandom(t *testing.T) {
	t.Parallel()
	counts := make(map[byte]int)
	for range 2000 {
		for _, c := range []byte(newID(15)) {
			counts[c]++
		}
	}
	if len(counts) != 64 {
		t.Errorf("%d characters occur", len(counts))
	}
	for c, n := range counts {
		if n < 300 || n > 640 { // 469 each
			t.Errorf("%q occurs %d times of 30,000", c, n)
		}
	}
}
