package gateway_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/internal/testcerts"
	"github.com/peal-dev/peal/internal/testredis"
)

// withTLS returns the configuration of nodes that know each other by an authority, with files in a directory of their own.
func withTLS(t *testing.T, ca *testcerts.Authority, redis string) gateway.Config {
	t.Helper()
	cert, key, authority := ca.Write(t.TempDir(), ca.Issue())
	return gateway.Config{Dev: true, Cluster: redis, PeerListen: "127.0.0.1:0", PeerCert: cert, PeerKey: key, PeerCA: authority}
}

// openSession opens a session by polling and returns its id.
func (n *node) openSession() string {
	n.t.Helper()
	_, text := n.do("GET", "/socket.io/?EIO=4&transport=polling", "")
	_, rest, ok := strings.Cut(text, `"sid":"`)
	if !ok {
		n.t.Fatalf("no session but %q", text)
	}
	return rest[:20]
}

// Nodes pass on polls and WebSockets by TLS, at an address where nobody else is served.
func TestNodesOverTLS(t *testing.T) {
	t.Parallel()
	ca := testcerts.New(t)
	cfg := withTLS(t, ca, testredis.Start(t).URL())
	one, two := startNode(t, cfg), startNode(t, cfg)
	one.waitReady(200)
	two.waitReady(200)
	sid := one.openSession()
	path := "/socket.io/?EIO=4&transport=polling&sid=" + sid
	if res, text := two.do("POST", path, "40"); res.StatusCode != 200 {
		t.Fatalf("answered %d %s", res.StatusCode, text)
	}
	if res, text := two.do("GET", path, ""); res.StatusCode != 200 || !strings.HasPrefix(text, `40{"sid"`) {
		t.Fatalf("answered %d %s", res.StatusCode, text)
	}
	conn, _, err := websocket.Dial(t.Context(), two.URL()+"/socket.io/?EIO=4&transport=websocket&sid="+sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	for _, text := range []string{"2probe", "5", `420["subscribe","a"]`} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"3probe", `430[{"ok":true,"rooms":["a"]}]`} {
		if _, got, err := conn.Read(t.Context()); err != nil || string(got) != want {
			t.Fatalf("heard %q, %v, want %q", got, err, want)
		}
	}
	two.publish(`{"rooms":["a"],"event":"x"}`)
	if _, got, err := conn.Read(t.Context()); err != nil || string(got) != `42["x"]` {
		t.Fatalf("heard %q, %v", got, err)
	}
	_, nodes := one.do("GET", "/v1/nodes", "")
	if got := strings.Count(nodes, `"address":"https://127.0.0.1:`); got != 2 {
		t.Errorf("%d nodes speak TLS: %s", got, nodes)
	}
	// Clients have nothing to present at the address of the nodes.
	_, rest, _ := strings.Cut(nodes, `"address":"`)
	address, _, _ := strings.Cut(rest, `"`)
	if res, err := (&http.Client{Transport: &http.Transport{}}).Get(address + "/socket.io/?EIO=4&transport=polling"); err == nil {
		_ = res.Body.Close()
		t.Errorf("a client was answered %d", res.StatusCode)
	}
	// What says to be of a node is nothing special at the address of the clients.
	if res, _ := one.do("GET", "/socket.io/?EIO=4&transport=polling", "", "Peal-Forwarded", "forged 127.0.0.1:1"); res.StatusCode != 200 {
		t.Errorf("answered %d", res.StatusCode)
	}
}

// A certificate that is replaced while nodes run is what they present from then on; one that is half written is not.
func TestClusterCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	ca, others := testcerts.New(t), testcerts.New(t)
	redis := testredis.Start(t).URL()
	one, twos := withTLS(t, ca, redis), withTLS(t, ca, redis)
	owner, two := startNode(t, one), startNode(t, twos)
	owner.waitReady(200)
	two.waitReady(200)
	upgrade := func() error {
		conn, _, err := websocket.Dial(t.Context(), two.URL()+"/socket.io/?EIO=4&transport=websocket&sid="+owner.openSession(), nil)
		if err == nil {
			_ = conn.CloseNow()
		}
		return err
	}
	written := time.Now()
	replace := func(pair [3]string) {
		t.Helper()
		written = written.Add(time.Second) // as a later writing would have
		for from, to := range map[string]string{pair[0]: twos.PeerCert, pair[1]: twos.PeerKey} {
			pem, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, pem, 0o600)
			}
			if err == nil {
				err = os.Chtimes(to, written, written)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := upgrade(); err != nil {
		t.Fatal(err)
	}
	write := func(a *testcerts.Authority) (pair [3]string) {
		pair[0], pair[1], pair[2] = a.Write(t.TempDir(), a.Issue())
		return pair
	}
	foreign, good := write(others), write(ca)
	replace(foreign)
	if err := upgrade(); err == nil {
		t.Error("a node with a certificate of another authority is let in")
	}
	replace([3]string{good[0], foreign[1]}) // which do not fit: the one before stays
	if err := upgrade(); err == nil {
		t.Error("a node with a certificate of another authority is let in after half of a new one was written")
	}
	replace(good)
	if err := upgrade(); err != nil {
		t.Errorf("the new certificate is not presented: %v", err)
	}
}

func TestClusterSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := testcerts.New(t)
	cert, key, authority := ca.Write(dir, ca.Issue())
	good := gateway.Config{Dev: true, Cluster: "redis://127.0.0.1:1", Listen: "127.0.0.1:0", PeerListen: "127.0.0.1:0", PeerCert: cert, PeerKey: key, PeerCA: authority, PeerName: "peal.test"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(c *gateway.Config){
		"--peer-listen: \"8443\" is not HOST:PORT": func(c *gateway.Config) { c.PeerListen = "8443" },
		"--peer-listen: a node without --cluster":  func(c *gateway.Config) { c.Cluster = "" },
		"--peer-listen: nodes speak TLS":           func(c *gateway.Config) { c.PeerListen = "" },
		"--peer-cert: nodes speak TLS":             func(c *gateway.Config) { c.PeerCert = "" },
		"--peer-key: nodes speak TLS":              func(c *gateway.Config) { c.PeerKey = "" },
		"--peer-ca: nodes speak TLS":               func(c *gateway.Config) { c.PeerCA = "" },
		"--peer-name: is about certificates":       func(c *gateway.Config) { c.PeerCert, c.PeerKey, c.PeerCA = "", "", "" },
		"--advertise: \"https://a:1\" is a URL":    func(c *gateway.Config) { c.Advertise = "https://a:1" },
		"--peer-ca: open":                          func(c *gateway.Config) { c.PeerCA = filepath.Join(dir, "none.pem") },
		"holds no certificate":                     func(c *gateway.Config) { c.PeerCA = key },
		"--peer-cert, --peer-key: stat":            func(c *gateway.Config) { c.PeerKey = filepath.Join(dir, "none.pem") },
		"--peer-cert, --peer-key: tls":             func(c *gateway.Config) { c.PeerKey = authority },
		"--peer-listen 192.0.2.1:0":                func(c *gateway.Config) { c.PeerListen = "192.0.2.1:0" },
	} {
		c := good
		change(&c)
		s, err := gateway.Start(t.Context(), c)
		if err == nil {
			_ = s.Shutdown(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
