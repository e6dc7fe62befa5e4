//go:build unix

package interop_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// workers is `peal serve --workers`, and what it says of itself.
type workers struct {
	t *testing.T
	*program
}

func startWorkers(t *testing.T, n int, flags ...string) *workers {
	t.Helper()
	p := start(t, built(t, pealBinary), append([]string{"serve", "--dev", "--listen", "127.0.0.1:0", "--workers", strconv.Itoa(n)}, flags...)...)
	w := &workers{t, p}
	w.awaitNodes(func(nodes []string) bool { return len(nodes) == n })
	return w
}

// awaitNodes waits until the nodes that a worker knows, by name, are as they should be, and returns them.
func (w *workers) awaitNodes(so func(nodes []string) bool) []string {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var list struct{ Nodes []struct{ Name string } }
		res, err := http.Get(w.url() + "/v1/nodes")
		if err == nil { // else the connection was one of a worker that was killed
			err = json.NewDecoder(res.Body).Decode(&list)
			_ = res.Body.Close()
		}
		var names []string
		for _, n := range list.Nodes {
			names = append(names, n.Name)
		}
		if so(names) {
			return names
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the nodes are %q, %v", names, err)
		}
	}
}

// processes returns the process ids of the workers.
func (w *workers) processes() (pids []int) {
	w.t.Helper()
	out, err := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(w.cmd.Process.Pid)).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.FieldsSeq(string(out)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			w.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// Official clients on every transport are served by whichever worker their connections come to, and get everything, in
// order. A worker that is killed is replaced, its clients come back, and the others notice nothing.
func TestWorkers(t *testing.T) {
	t.Parallel()
	const count, messages = 30, 100
	w := startWorkers(t, 3)
	b := &balanced{t: t, url: w.url(), clients: startPeer(t, "client.mjs")}
	names := b.connect(count, func(i int) params { return params{"options": transports[i%len(transports)].options} })
	for i, name := range names {
		if transports[i%len(transports)].name == "default" {
			b.clients.do("upgraded", params{"client": name}, nil)
		}
		b.subscribe(name, "all")
	}
	for j := range messages {
		w.publish(t, publication{Event: "before", Rooms: []string{"all"}, Args: []any{j}})
	}
	for _, name := range names {
		b.clients.awaitEvents(name, "before", messages) // from connections that the workers share: in no order
	}
	b.clients.do("publish", params{"client": names[0], "publication": publication{Event: "from client", Rooms: []string{"all"}}, "count": messages}, nil)
	for _, name := range names {
		requireNumbered(t, "from client at "+name, b.clients.awaitEvents(name, "from client", messages), messages)
	}
	before := w.awaitNodes(func(nodes []string) bool { return len(nodes) == 3 })
	pids := w.processes()
	if len(pids) != 3 {
		t.Fatalf("%d processes work", len(pids))
	}
	if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.awaitNodes(func(nodes []string) bool {
		return len(nodes) == 3 && strings.Join(nodes, " ") != strings.Join(before, " ")
	})
	for _, name := range names {
		b.subscribe(name, "all")
	}
	w.publish(t, publication{Event: "after", Rooms: []string{"all"}, Args: []any{0}})
	for _, name := range names {
		b.clients.awaitEvents(name, "after", 1)
	}
	if left := len(b.clients.of(func(r report) bool { return r.State == "disconnect" })); left == 0 || left == count {
		t.Errorf("%d of %d clients were disconnected by the death of one of three workers", left, count)
	}
}

// Workers end with the process that has started them, however that ends, and one that cannot begin ends all.
func TestWorkersEnd(t *testing.T) {
	t.Parallel()
	w := startWorkers(t, 2)
	pids := w.processes()
	w.kill(t)
	for _, pid := range pids {
		for deadline := time.Now().Add(patience); syscall.Kill(pid, 0) == nil; {
			if time.Now().After(deadline) {
				t.Fatalf("worker %d goes on", pid)
			}
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, wrong := range [][]string{{"--workers", "-1"}, {"--workers", "2", "--listen", "nonsense"},
		{"--workers", "2", "--internal-listen", "127.0.0.1:65535"}, {"--workers", "2", "--internal-listen", taken.Addr().String()}} {
		out, err := exec.Command(built(t, pealBinary), append([]string{"serve", "--dev"}, wrong...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), strings.TrimPrefix(wrong[len(wrong)-2], "--")) {
			t.Errorf("%q: %v, %s", wrong, err, out)
		}
	}
}
